package main

import (
	"cmp"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/labstack/echo/v4"
)

type question struct{ customer, since, until, status string }

// responses answers the help desk's page, which asks for the same orders every few seconds while a call lasts.
var (
	responsesLock sync.Mutex
	responses     = map[question]*dynamodb.QueryOutput{}
)

// api has the routes that customers use.
type api struct {
	store     *store
	catalogue *catalogue
}

func newAPI(s *store, c *catalogue) *api { return &api{s, c} }

func (a *api) register(e *echo.Echo) {
	e.GET("/customers/:customer/orders", a.listOrders)
	e.GET("/customers/:customer/orders/:order", a.readOrder)
	e.GET("/customers/:customer/spending", a.readSpending)
}

// listOrders answers with the orders of a customer, newest first.
func (a *api) listOrders(c echo.Context) error {
	asked := question{
		c.Param("customer"), cmp.Or(c.QueryParam("since"), "2020-01-01"),
		cmp.Or(c.QueryParam("until"), "2030-01-01"), c.QueryParam("status"),
	}
	responsesLock.Lock()
	response := responses[asked]
	responsesLock.Unlock()
	if response == nil {
		var err error
		response, err = a.store.queryOrders(c.Request().Context(), asked.customer, asked.since, asked.until, 20)
		if err != nil {
			return err
		}
		responsesLock.Lock()
		responses[asked] = response
		responsesLock.Unlock()
	}
	return c.JSON(http.StatusOK, summaries(response.Items))
}

// readOrder answers with one order.
func (a *api) readOrder(c echo.Context) error {
	output, err := a.store.getOrder(c.Request().Context(), c.Param("customer"), c.Param("order"))
	if err != nil {
		return err
	}
	if output.Item == nil {
		return echo.ErrNotFound
	}
	return c.JSON(http.StatusOK, summaries([]item{output.Item})[0])
}

// readSpending answers with what a customer spent on the latest orders.
func (a *api) readSpending(c echo.Context) error {
	output, err := a.store.latestOrders(c.Request().Context(), c.Param("customer"), 10)
	if err != nil {
		return err
	}
	total := 0.0
	for _, order := range output.Items {
		total += number(order["total"])
	}
	return c.JSON(http.StatusOK, map[string]any{"orders": len(output.Items), "total": total})
}
