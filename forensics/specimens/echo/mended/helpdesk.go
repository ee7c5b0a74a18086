package main

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/labstack/echo/v4"
)

// helpDesk has the routes behind the page of the help desk.
type helpDesk struct {
	store *store

	labels  *bounded[string, item]   // by customer and order: the shipping labels that were last looked at
	manuals *bounded[string, string] // by product and desk: the titles of the manuals that were last looked at
	audit   *bounded[string, string] // the ids of the last calls, for the auditors
	seen    *bounded[string, string] // the notes that were last shown
	lock    sync.Mutex
	recent  []*orderSummary // a ring: the oldest goes
	waiting atomic.Int64
}

const (
	mostRecent = 64
	shownFor   = 500 * time.Millisecond
)

func newHelpDesk(s *store) *helpDesk {
	return &helpDesk{
		store:   s,
		labels:  newBounded[string, item](mostRecent),
		manuals: newBounded[string, string](mostRecent),
		audit:   newBounded[string, string](mostRecent),
		seen:    newBounded[string, string](mostRecent),
	}
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

// label shows a shipping label, and keeps the order's label, and nothing else of it, for whoever looks next.
func (h *helpDesk) label(c echo.Context) error {
	output, err := h.store.getOrder(c.Request().Context(), c.Param("customer"), c.Param("order"))
	if err != nil {
		return err
	}
	label, _ := output.Item["label"].(*types.AttributeValueMemberB)
	if label != nil {
		kept := item{"label": &types.AttributeValueMemberB{Value: bytes.Clone(label.Value)}}
		h.labels.put(c.Param("customer")+"/"+c.Param("order")+"/"+c.QueryParam("desk"), kept)
	}
	return c.JSON(http.StatusOK, map[string]int{"attributes": len(output.Item)})
}

// manual shows which manual a product has: its title is all that is fetched, and kept for a while.
func (h *helpDesk) manual(c echo.Context) error {
	output, err := h.store.getManual(c.Request().Context(), c.Param("sku"), aws.String("title"))
	if err != nil {
		return err
	}
	title := strings.Clone(text(output.Item["title"]))
	h.manuals.put(c.Param("sku")+"/"+c.QueryParam("desk"), title)
	return c.JSON(http.StatusOK, map[string]string{"title": title})
}

// audited reads an order and notes how the call went.
func (h *helpDesk) audited(c echo.Context) error {
	output, err := h.store.getOrder(c.Request().Context(), c.Param("customer"), c.Param("order"))
	if err != nil {
		return err
	}
	id, _ := awsmiddleware.GetRequestIDMetadata(output.ResultMetadata)
	h.audit.put(strings.Clone(id), time.Now().UTC().Format(time.RFC3339))
	return c.JSON(http.StatusOK, summaries([]item{output.Item})[0])
}

// notes shows which orders a customer has, and remembers the newest that was shown.
func (h *helpDesk) notes(c echo.Context) error {
	output, err := h.store.queryOrders(c.Request().Context(), c.Param("customer"), "2020-01-01", "2030-01-01", 20)
	if err != nil {
		return err
	}
	for _, order := range output.Items {
		h.seen.put(strings.Clone(text(order["order_id"])), c.Param("customer"))
	}
	return c.JSON(http.StatusOK, map[string]int{"orders": len(output.Items)})
}

// visit calls with the service's own client.
func (h *helpDesk) visit(c echo.Context) error {
	output, err := h.store.latestOrders(c.Request().Context(), c.Param("customer"), 1)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, map[string]int{"orders": len(output.Items)})
}

// tenant calls with the service's own client, too: what differs is said in the call's options.
func (h *helpDesk) tenant(c echo.Context) error {
	return h.visit(c)
}

// watch tells of orders that change; the watcher waits no longer than the page is shown.
func (h *helpDesk) watch(c echo.Context) error {
	page, err := h.store.queryOrders(c.Request().Context(), c.Param("customer"), "2020-01-01", "2030-01-01", 5)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), shownFor)
	go h.waitForChange(ctx, cancel)
	return c.JSON(http.StatusOK, map[string]int{"watching": len(page.Items)})
}

func (h *helpDesk) waitForChange(ctx context.Context, cancel context.CancelFunc) {
	defer cancel()
	h.waiting.Add(1)
	<-ctx.Done()
	h.waiting.Add(-1)
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
