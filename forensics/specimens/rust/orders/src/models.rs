//! What the services answer with.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;

use crate::Item;

#[derive(Clone, Serialize)]
pub struct Summary {
    pub order_id: String,
    pub status: String,
    pub total: f64,
    pub lines: usize,
}

impl From<&Item> for Summary {
    fn from(item: &Item) -> Self {
        Self {
            order_id: text(item.get("order_id")),
            status: text(item.get("status")),
            total: number(item.get("total")),
            lines: item
                .get("lines")
                .and_then(|lines| lines.as_l().ok())
                .map_or(0, Vec::len),
        }
    }
}

pub fn text(value: Option<&AttributeValue>) -> String {
    value.and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

pub fn number(value: Option<&AttributeValue>) -> f64 {
    value
        .and_then(|value| value.as_n().ok()?.parse().ok())
        .unwrap_or_default()
}
