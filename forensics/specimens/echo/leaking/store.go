package main

import (
	"cmp"
	"context"
	"os"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

type item = map[string]types.AttributeValue

// store makes every call to DynamoDB that the service makes.
type store struct {
	client                    *dynamodb.Client
	orders, products, manuals string
}

func newStore(ctx context.Context) (*store, error) {
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	return &store{
		client:   dynamodb.NewFromConfig(cfg, atEndpoint),
		orders:   cmp.Or(os.Getenv("ORDERS_TABLE"), "Orders"),
		products: cmp.Or(os.Getenv("PRODUCTS_TABLE"), "Products"),
		manuals:  cmp.Or(os.Getenv("MANUALS_TABLE"), "Manuals"),
	}, nil
}

func atEndpoint(options *dynamodb.Options) {
	if endpoint := os.Getenv("DYNAMODB_ENDPOINT"); endpoint != "" {
		options.BaseEndpoint = aws.String(endpoint)
	}
}

// queryOrders asks for what a customer ordered between two days, newest first.
func (s *store) queryOrders(ctx context.Context, customer, since, until string, limit int32) (*dynamodb.QueryOutput, error) {
	return s.client.Query(ctx, &dynamodb.QueryInput{
		TableName:              &s.orders,
		KeyConditionExpression: aws.String("customer_id = :customer AND order_id BETWEEN :since AND :until"),
		ExpressionAttributeValues: item{
			":customer": &types.AttributeValueMemberS{Value: customer},
			":since":    &types.AttributeValueMemberS{Value: since},
			":until":    &types.AttributeValueMemberS{Value: until},
		},
		ScanIndexForward: aws.Bool(false),
		Limit:            &limit,
	})
}

// getOrder reads one order with everything in it.
func (s *store) getOrder(ctx context.Context, customer, order string) (*dynamodb.GetItemOutput, error) {
	return s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &s.orders,
		Key: item{
			"customer_id": &types.AttributeValueMemberS{Value: customer},
			"order_id":    &types.AttributeValueMemberS{Value: order},
		},
	})
}

// getManual reads the manual of a product: these attributes of it, or all, the scanned pages with them.
func (s *store) getManual(ctx context.Context, sku string, attributes *string) (*dynamodb.GetItemOutput, error) {
	return s.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName:            &s.manuals,
		Key:                  item{"sku": &types.AttributeValueMemberS{Value: sku}},
		ProjectionExpression: attributes,
	})
}

// latestOrders asks for the newest orders of a customer, three attributes of each.
func (s *store) latestOrders(ctx context.Context, customer string, count int32) (*dynamodb.QueryOutput, error) {
	return s.client.Query(ctx, &dynamodb.QueryInput{
		TableName:                 &s.orders,
		KeyConditionExpression:    aws.String("customer_id = :customer"),
		ExpressionAttributeValues: item{":customer": &types.AttributeValueMemberS{Value: customer}},
		ProjectionExpression:      aws.String("order_id, #total, currency"),
		ExpressionAttributeNames:  map[string]string{"#total": "total"},
		ScanIndexForward:          aws.Bool(false),
		Limit:                     &count,
	})
}

// ordersOf pages through the orders that a warehouse ships.
func (s *store) ordersOf(warehouse int, pageSize int32) *dynamodb.ScanPaginator {
	return dynamodb.NewScanPaginator(s.client, &dynamodb.ScanInput{
		TableName:        &s.orders,
		FilterExpression: aws.String("contains(warehouses, :warehouse)"),
		ExpressionAttributeValues: item{
			":warehouse": &types.AttributeValueMemberN{Value: strconv.Itoa(warehouse)},
		},
		Limit: &pageSize,
	})
}

func (s *store) allProducts() *dynamodb.ScanPaginator {
	return dynamodb.NewScanPaginator(s.client, &dynamodb.ScanInput{TableName: &s.products})
}

// text is the string in an attribute value, or nothing.
func text(value types.AttributeValue) string {
	switch value := value.(type) {
	case *types.AttributeValueMemberS:
		return value.Value
	case *types.AttributeValueMemberN:
		return value.Value
	}
	return ""
}

func number(value types.AttributeValue) float64 {
	parsed, _ := strconv.ParseFloat(text(value), 64)
	return parsed
}
