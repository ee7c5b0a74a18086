package main

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/labstack/echo/v4"
)

// reports has the routes that bookkeeping uses.
type reports struct {
	store *store

	lock     sync.Mutex
	exported []item // what was exported so far, for a later look
}

func newReports(s *store) *reports { return &reports{store: s} }

func (r *reports) register(e *echo.Echo) {
	e.GET("/reports/revenue/:warehouse", r.revenue)
	e.GET("/reports/export/:warehouse", r.export)
}

// revenue counts what a warehouse shipped, page by page; one page is in memory at a time.
func (r *reports) revenue(c echo.Context) error {
	warehouse, _ := strconv.Atoi(c.Param("warehouse"))
	orders, total := 0, 0.0
	for pages := r.store.ordersOf(warehouse, 500); pages.HasMorePages(); {
		page, err := pages.NextPage(c.Request().Context())
		if err != nil {
			return err
		}
		orders += len(page.Items)
		for _, order := range page.Items {
			total += number(order["total"])
		}
	}
	return c.JSON(http.StatusOK, map[string]any{"orders": orders, "total": total})
}

// export collects the orders of a warehouse.
func (r *reports) export(c echo.Context) error {
	warehouse, _ := strconv.Atoi(c.Param("warehouse"))
	pages := r.store.ordersOf(warehouse, 100)
	if pages.HasMorePages() {
		page, err := pages.NextPage(c.Request().Context())
		if err != nil {
			return err
		}
		r.lock.Lock()
		r.exported = append(r.exported, page.Items...)
		r.lock.Unlock()
	}
	return c.JSON(http.StatusOK, map[string]int{"exported": len(r.exported)})
}
