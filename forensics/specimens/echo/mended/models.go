package main

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// orderSummary is what a list of orders shows; its strings are copies, so that it holds nothing of the response.
type orderSummary struct {
	ID       string  `json:"order_id"`
	Status   string  `json:"status"`
	PlacedAt string  `json:"placed_at"`
	Total    float64 `json:"total"`
	Lines    int     `json:"lines"`
}

func summaries(items []item) []orderSummary {
	found := make([]orderSummary, 0, len(items))
	for _, each := range items {
		lines, _ := each["lines"].(*types.AttributeValueMemberL)
		count := 0
		if lines != nil {
			count = len(lines.Value)
		}
		found = append(found, orderSummary{
			ID:       strings.Clone(text(each["order_id"])),
			Status:   strings.Clone(text(each["status"])),
			PlacedAt: strings.Clone(text(each["placed_at"])),
			Total:    number(each["total"]),
			Lines:    count,
		})
	}
	return found
}
