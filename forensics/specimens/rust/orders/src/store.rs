//! Every call to DynamoDB that the services make.

use std::env;

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use aws_sdk_dynamodb::{Client, Config};

use crate::{Error, Item};

#[derive(Clone)]
pub struct Store {
    client: Client,
    orders: String,
    products: String,
    manuals: String,
}

/// How DynamoDB is reached, from the environment.
pub fn config() -> Config {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID"),
        variable("AWS_SECRET_ACCESS_KEY"),
        None,
        None,
        "environment",
    );
    let mut config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(
            env::var("AWS_REGION").unwrap_or_else(|_| "eu-central-1".into()),
        ))
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    if let Ok(endpoint) = env::var("DYNAMODB_ENDPOINT") {
        config = config.endpoint_url(endpoint);
    }
    config.build()
}

impl Store {
    pub fn new(client: Client) -> Self {
        Self {
            client,
            orders: env::var("ORDERS_TABLE").unwrap_or_else(|_| "Orders".into()),
            products: env::var("PRODUCTS_TABLE").unwrap_or_else(|_| "Products".into()),
            manuals: env::var("MANUALS_TABLE").unwrap_or_else(|_| "Manuals".into()),
        }
    }

    /// The newest orders of a customer since a day, with everything in them.
    pub async fn query_orders(&self, customer: &str, since: &str, limit: i32) -> Result<QueryOutput, Error> {
        let output = self
            .client
            .query()
            .table_name(&self.orders)
            .key_condition_expression("customer_id = :customer AND order_id >= :since")
            .expression_attribute_values(":customer", AttributeValue::S(customer.into()))
            .expression_attribute_values(":since", AttributeValue::S(since.into()))
            .scan_index_forward(false)
            .limit(limit)
            .send()
            .await?;
        Ok(output)
    }

    /// One order.
    pub async fn get_order(&self, customer: &str, order: &str) -> Result<GetItemOutput, Error> {
        let output = self
            .client
            .get_item()
            .table_name(&self.orders)
            .key("customer_id", AttributeValue::S(customer.into()))
            .key("order_id", AttributeValue::S(order.into()))
            .send()
            .await?;
        Ok(output)
    }

    /// The newest orders of a customer, two attributes of each.
    pub async fn latest_orders(&self, customer: &str, count: i32) -> Result<QueryOutput, Error> {
        let output = self
            .client
            .query()
            .table_name(&self.orders)
            .key_condition_expression("customer_id = :customer")
            .expression_attribute_values(":customer", AttributeValue::S(customer.into()))
            .projection_expression("order_id, #total")
            .expression_attribute_names("#total", "total")
            .scan_index_forward(false)
            .limit(count)
            .send()
            .await?;
        Ok(output)
    }

    /// The first page of the orders that a warehouse ships.
    pub async fn first_page_of(&self, warehouse: &str, limit: i32) -> Result<ScanOutput, Error> {
        let mut pages = self
            .client
            .scan()
            .table_name(&self.orders)
            .filter_expression("contains(warehouses, :warehouse)")
            .expression_attribute_values(":warehouse", AttributeValue::N(warehouse.into()))
            .limit(limit)
            .into_paginator()
            .send();
        Ok(pages
            .next()
            .await
            .transpose()?
            .unwrap_or_else(|| ScanOutput::builder().build()))
    }

    /// Takes an order where there is none of its number yet; the error brings the one that is there.
    pub async fn place_order(&self, customer: &str, order: &str) -> Result<(), SdkError<PutItemError>> {
        self.client
            .put_item()
            .table_name(&self.orders)
            .item("customer_id", AttributeValue::S(customer.into()))
            .item("order_id", AttributeValue::S(order.into()))
            .condition_expression("attribute_not_exists(order_id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await?;
        Ok(())
    }

    /// The manual of a product: these attributes of it, or all, the scanned pages with them.
    pub async fn get_manual(&self, sku: &str, attributes: Option<&str>) -> Result<GetItemOutput, Error> {
        let output = self
            .client
            .get_item()
            .table_name(&self.manuals)
            .key("sku", AttributeValue::S(sku.into()))
            .set_projection_expression(attributes.map(Into::into))
            .send()
            .await?;
        Ok(output)
    }

    /// All products: some dozen, read once at start.
    pub async fn all_products(&self) -> Result<Vec<Item>, Error> {
        let mut found = Vec::new();
        let mut pages = self.client.scan().table_name(&self.products).into_paginator().send();
        while let Some(page) = pages.next().await {
            found.extend(page?.items.unwrap_or_default());
        }
        Ok(found)
    }
}
