//! Layers below a client that note what DynamoDB answered: one keeps every body, the other what a journal needs.

use std::collections::VecDeque;
use std::sync::Mutex;

use aws_sdk_dynamodb::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};

use crate::Error;

const MOST_LINES: usize = 64;

/// What was answered, word for word.
static BODIES: Mutex<Vec<String>> = Mutex::new(Vec::new());
/// A ring of lines: status and length.
static LINES: Mutex<VecDeque<(u16, usize)>> = Mutex::new(VecDeque::new());

#[derive(Debug)]
pub struct KeepsBodies;

impl Intercept for KeepsBodies {
    fn name(&self) -> &'static str {
        "KeepsBodies"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Error> {
        let body = context.response().body().bytes().unwrap_or_default();
        let text = String::from_utf8_lossy(body).into_owned();
        BODIES.lock().unwrap().push(text);
        Ok(())
    }
}

#[derive(Debug)]
pub struct KeepsLines;

impl Intercept for KeepsLines {
    fn name(&self) -> &'static str {
        "KeepsLines"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), Error> {
        let response = context.response();
        let length = response.body().bytes().map_or(0, <[u8]>::len);
        let mut lines = LINES.lock().unwrap();
        if lines.len() == MOST_LINES {
            lines.pop_front();
        }
        lines.push_back((response.status().as_u16(), length));
        Ok(())
    }
}
