// Orders: what customers bought, read from DynamoDB and served over HTTP.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"
	_ "net/http/pprof" // registers /debug/pprof on http.DefaultServeMux

	"github.com/labstack/echo/v4"
)

func main() {
	address := flag.String("listen", "127.0.0.1:8080", "where to serve")
	flag.Parse()

	store, err := newStore(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	catalogue, err := loadCatalogue(context.Background(), store)
	if err != nil {
		log.Fatal(err)
	}

	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	newAPI(store, catalogue).register(e)
	newReports(store).register(e)
	newHelpDesk(store).register(e)
	e.GET("/health", func(c echo.Context) error {
		return c.JSON(http.StatusOK, map[string]int{"products": len(catalogue.titles)})
	})
	// On a listener of its own, or behind a login, where strangers can reach the service.
	e.GET("/debug/pprof/*", echo.WrapHandler(http.DefaultServeMux))

	if err := e.Start(*address); err != nil {
		log.Fatal(err)
	}
}
