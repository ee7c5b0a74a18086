package main

import (
	"context"
	"strings"
)

// catalogue holds the products, read once at start: a table that stays, of a size that is known.
type catalogue struct {
	titles map[string]string
}

func loadCatalogue(ctx context.Context, s *store) (*catalogue, error) {
	titles := map[string]string{}
	for pages := s.allProducts(); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		for _, product := range page.Items {
			titles[strings.Clone(text(product["sku"]))] = strings.Clone(text(product["title"]))
		}
	}
	return &catalogue{titles}, nil
}
