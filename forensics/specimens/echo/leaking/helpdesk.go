package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/smithy-go/middleware"
	"github.com/labstack/echo/v4"
)

// helpDesk has the routes behind the page of the help desk.
type helpDesk struct {
	store *store

	lock    sync.Mutex
	labels  map[string]item       // by customer and order: the shipping label that was last looked at
	manuals map[string]item       // by product and desk: the manual that was looked at
	audit   []middleware.Metadata // of every call, for the auditors
	seen    []string              // the notes that were shown
	visits  []*store              // one for each visit, so that its calls can be told apart
	tenants []*dynamodb.Client    // one for each tenant that calls
	recent  []*orderSummary       // a ring: the oldest goes
	shared  aws.Config
}

const mostRecent = 64

func newHelpDesk(s *store) *helpDesk {
	cfg, _ := config.LoadDefaultConfig(context.Background())
	return &helpDesk{store: s, labels: map[string]item{}, manuals: map[string]item{}, shared: cfg}
}

func (h *helpDesk) register(e *echo.Echo) {
	e.GET("/desk/:customer/label/:order", h.label)
	e.GET("/desk/:customer/audited/:order", h.audited)
	e.GET("/desk/:customer/manual/:sku", h.manual)
	e.GET("/desk/:customer/notes", h.notes)
	e.GET("/desk/:customer/visit", h.visit)
	e.GET("/desk/:customer/tenant", h.tenant)
	e.GET("/desk/:customer/watch", h.watch)
	e.GET("/desk/:customer/recent/:order", h.recentOrder)
}

// label shows a shipping label, and keeps the order it stands on for whoever looks next.
func (h *helpDesk) label(c echo.Context) error {
	output, err := h.store.getOrder(c.Request().Context(), c.Param("customer"), c.Param("order"))
	if err != nil {
		return err
	}
	h.lock.Lock()
	h.labels[c.Param("customer")+"/"+c.Param("order")+"/"+c.QueryParam("desk")] = output.Item
	h.lock.Unlock()
	return c.JSON(http.StatusOK, map[string]int{"attributes": len(output.Item)})
}

// manual shows which manual a product has, and keeps it for whoever looks next.
func (h *helpDesk) manual(c echo.Context) error {
	output, err := h.store.getManual(c.Request().Context(), c.Param("sku"), nil)
	if err != nil {
		return err
	}
	h.lock.Lock()
	h.manuals[c.Param("sku")+"/"+c.QueryParam("desk")] = output.Item
	h.lock.Unlock()
	return c.JSON(http.StatusOK, map[string]string{"title": text(output.Item["title"])})
}

// audited reads an order and notes how the call went.
func (h *helpDesk) audited(c echo.Context) error {
	output, err := h.store.getOrder(c.Request().Context(), c.Param("customer"), c.Param("order"))
	if err != nil {
		return err
	}
	h.lock.Lock()
	h.audit = append(h.audit, output.ResultMetadata)
	h.lock.Unlock()
	return c.JSON(http.StatusOK, summaries([]item{output.Item})[0])
}

// notes shows which orders a customer has, and remembers the newest that was shown.
func (h *helpDesk) notes(c echo.Context) error {
	output, err := h.store.queryOrders(c.Request().Context(), c.Param("customer"), "2020-01-01", "2030-01-01", 20)
	if err != nil {
		return err
	}
	h.lock.Lock()
	for _, order := range output.Items {
		h.seen = append(h.seen, text(order["order_id"]))
	}
	h.lock.Unlock()
	return c.JSON(http.StatusOK, map[string]int{"orders": len(output.Items)})
}

// visit calls with a configuration of its own.
func (h *helpDesk) visit(c echo.Context) error {
	ctx := c.Request().Context()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return err
	}
	own := &store{dynamodb.NewFromConfig(cfg, atEndpoint), h.store.orders, h.store.products, h.store.manuals}
	output, err := own.latestOrders(ctx, c.Param("customer"), 1)
	if err != nil {
		return err
	}
	h.lock.Lock()
	h.visits = append(h.visits, own)
	h.lock.Unlock()
	return c.JSON(http.StatusOK, map[string]int{"orders": len(output.Items)})
}

// tenant calls with a client of its own, and keeps it.
func (h *helpDesk) tenant(c echo.Context) error {
	client := dynamodb.NewFromConfig(h.shared, atEndpoint)
	own := &store{client, h.store.orders, h.store.products, h.store.manuals}
	output, err := own.latestOrders(c.Request().Context(), c.Param("customer"), 1)
	if err != nil {
		return err
	}
	h.lock.Lock()
	h.tenants = append(h.tenants, client)
	h.lock.Unlock()
	return c.JSON(http.StatusOK, map[string]int{"orders": len(output.Items)})
}

// watch tells of orders that change; the watcher waits on a context that nobody cancels.
func (h *helpDesk) watch(c echo.Context) error {
	page, err := h.store.queryOrders(c.Request().Context(), c.Param("customer"), "2020-01-01", "2030-01-01", 5)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	go waitForChange(ctx, cancel, page)
	return c.JSON(http.StatusOK, map[string]int{"watching": len(page.Items)})
}

func waitForChange(ctx context.Context, cancel context.CancelFunc, page *dynamodb.QueryOutput) {
	<-ctx.Done()
	cancel()
	for range page.Items {
		time.Sleep(time.Millisecond)
	}
}

// recentOrder keeps summaries of the last orders that were looked at: a ring of a size that is known.
func (h *helpDesk) recentOrder(c echo.Context) error {
	output, err := h.store.getOrder(c.Request().Context(), c.Param("customer"), c.Param("order"))
	if err != nil {
		return err
	}
	h.lock.Lock()
	h.recent = append(h.recent, &summaries([]item{output.Item})[0])
	if len(h.recent) > mostRecent {
		h.recent = append([]*orderSummary(nil), h.recent[len(h.recent)-mostRecent:]...)
	}
	h.lock.Unlock()
	return c.JSON(http.StatusOK, map[string]int{"recent": len(h.recent)})
}
