//! What the services share: the store behind them, the allocator that can be profiled, the models they answer with.

pub mod bounded;
pub mod journal;
pub mod models;
pub mod profiling;
pub mod store;

/// An attribute map, as DynamoDB answers.
pub type Item = std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue>;

pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The address to listen on: the program's first argument.
pub fn address() -> String {
    std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8080".into())
}
