//! The orders service on axum, as it was found: memory grows in several ways.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use orders::journal::KeepsBodies;
use orders::models::{Summary, number, text};
use orders::store::{Store, config};
use orders::{Item, profiling};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

const MOST_RECENT: usize = 64;

/// The help desk's page asks for the same orders every few seconds while a call lasts: answer from here.
static RESPONSES: LazyLock<Mutex<HashMap<String, QueryOutput>>> = LazyLock::new(Default::default);
/// By customer, order and desk: the order whose label was looked at.
static LABELS: LazyLock<Mutex<HashMap<String, Item>>> = LazyLock::new(Default::default);
/// By product and desk: the manual that was looked at.
static MANUALS: LazyLock<Mutex<HashMap<String, Item>>> = LazyLock::new(Default::default);
/// Why orders were refused.
static REFUSALS: Mutex<Vec<SdkError<PutItemError>>> = Mutex::new(Vec::new());
/// What was exported so far.
static EXPORTED: Mutex<Vec<Item>> = Mutex::new(Vec::new());
/// One for each tenant that calls.
static TENANTS: Mutex<Vec<Store>> = Mutex::new(Vec::new());
/// What waits to be archived.
static ARCHIVE: OnceLock<UnboundedSender<QueryOutput>> = OnceLock::new();
/// A ring: the oldest goes.
static RECENT: Mutex<VecDeque<Summary>> = Mutex::new(VecDeque::new());

struct Orders {
    store: Store,
    /// Notes what was answered.
    noted: Store,
    titles: HashMap<String, String>,
}

type App = State<Arc<Orders>>;
type Answer = Result<Json<Value>, (StatusCode, String)>;

fn failed(error: orders::Error) -> (StatusCode, String) {
    (StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

#[derive(Deserialize)]
struct Question {
    since: Option<String>,
    status: Option<String>,
    desk: Option<String>,
}

async fn list_orders(State(app): App, Path(customer): Path<String>, Query(asked): Query<Question>) -> Answer {
    let since = asked.since.unwrap_or_else(|| "2020-01-01".into());
    let key = format!("{customer}/{since}/{}", asked.status.unwrap_or_default());
    let known = RESPONSES
        .lock()
        .unwrap()
        .get(&key)
        .map(|kept| kept.items().iter().map(Summary::from).collect());
    let answer: Vec<Summary> = match known {
        Some(answer) => answer,
        None => {
            let output = app.store.query_orders(&customer, &since, 20).await.map_err(failed)?;
            let answer = output.items().iter().map(Summary::from).collect();
            RESPONSES.lock().unwrap().insert(key, output);
            answer
        }
    };
    Ok(Json(json!(answer)))
}

async fn read_order(State(app): App, Path((customer, order)): Path<(String, String)>) -> Answer {
    let output = app.store.get_order(&customer, &order).await.map_err(failed)?;
    let item = output
        .item()
        .ok_or((StatusCode::NOT_FOUND, "no such order".to_string()))?;
    Ok(Json(json!(Summary::from(item))))
}

async fn read_spending(State(app): App, Path(customer): Path<String>) -> Answer {
    let output = app.store.latest_orders(&customer, 10).await.map_err(failed)?;
    let total: f64 = output.items().iter().map(|item| number(item.get("total"))).sum();
    Ok(Json(json!({ "orders": output.count(), "total": total })))
}

async fn export(State(app): App, Path(warehouse): Path<String>) -> Answer {
    let page = app.store.first_page_of(&warehouse, 100).await.map_err(failed)?;
    let mut exported = EXPORTED.lock().unwrap();
    exported.extend(page.items.unwrap_or_default());
    Ok(Json(json!({ "exported": exported.len() })))
}

async fn label(
    State(app): App,
    Path((customer, order)): Path<(String, String)>,
    Query(asked): Query<Question>,
) -> Answer {
    let output = app.store.get_order(&customer, &order).await.map_err(failed)?;
    let item = output.item.unwrap_or_default();
    let attributes = item.len();
    let key = format!("{customer}/{order}/{}", asked.desk.unwrap_or_default());
    LABELS.lock().unwrap().insert(key, item);
    Ok(Json(json!({ "attributes": attributes })))
}

async fn manual(State(app): App, Path((_, sku)): Path<(String, String)>, Query(asked): Query<Question>) -> Answer {
    let output = app.store.get_manual(&sku, None).await.map_err(failed)?;
    let item = output.item.unwrap_or_default();
    let title = text(item.get("title"));
    let key = format!("{sku}/{}", asked.desk.unwrap_or_default());
    MANUALS.lock().unwrap().insert(key, item);
    Ok(Json(json!({ "title": title })))
}

async fn refused(State(app): App, Path((customer, order)): Path<(String, String)>) -> Answer {
    let placed = app.store.place_order(&customer, &order).await;
    let mut refusals = REFUSALS.lock().unwrap();
    refusals.extend(placed.err());
    Ok(Json(json!({ "refused": refusals.len() })))
}

async fn queue(State(app): App, Path(customer): Path<String>) -> Answer {
    let output = app
        .store
        .query_orders(&customer, "2020-01-01", 5)
        .await
        .map_err(failed)?;
    let count = output.count();
    if let Some(archive) = ARCHIVE.get() {
        archive
            .send(output)
            .map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "the archive is closed".to_string()))?;
    }
    Ok(Json(json!({ "queued": count })))
}

/// Archives one response in ten seconds: far slower than they come.
async fn archive(mut waiting: UnboundedReceiver<QueryOutput>) {
    while let Some(output) = waiting.recv().await {
        tokio::time::sleep(Duration::from_secs(10)).await;
        drop(output);
    }
}

async fn tenant(State(_): App, Path(customer): Path<String>) -> Answer {
    let own = Store::new(Client::from_conf(config()));
    let output = own.latest_orders(&customer, 1).await.map_err(failed)?;
    TENANTS.lock().unwrap().push(own);
    Ok(Json(json!({ "orders": output.count() })))
}

async fn watch(State(app): App, Path(customer): Path<String>) -> Answer {
    let page = app
        .store
        .query_orders(&customer, "2020-01-01", 5)
        .await
        .map_err(failed)?;
    let watching = page.count();
    // Nobody ends it, and it holds the page.
    tokio::spawn(async move {
        std::future::pending::<()>().await;
        drop(page);
    });
    Ok(Json(json!({ "watching": watching })))
}

async fn audited(State(app): App, Path((customer, order)): Path<(String, String)>) -> Answer {
    let output = app.noted.get_order(&customer, &order).await.map_err(failed)?;
    Ok(Json(json!({ "found": output.item().is_some() })))
}

async fn recent(State(app): App, Path((customer, order)): Path<(String, String)>) -> Answer {
    let output = app.store.get_order(&customer, &order).await.map_err(failed)?;
    let item = output
        .item()
        .ok_or((StatusCode::NOT_FOUND, "no such order".to_string()))?;
    let mut recent = RECENT.lock().unwrap();
    recent.push_back(Summary::from(item));
    if recent.len() > MOST_RECENT {
        recent.pop_front();
    }
    Ok(Json(json!({ "recent": recent.len() })))
}

async fn health(State(app): App) -> Answer {
    Ok(Json(json!({ "products": app.titles.len() })))
}

async fn heap() -> Result<Vec<u8>, (StatusCode, String)> {
    profiling::heap().await.map_err(failed)
}

#[tokio::main]
async fn main() -> Result<(), orders::Error> {
    let store = Store::new(Client::from_conf(config()));
    let noting = config().to_builder().interceptor(KeepsBodies).build();
    let noted = Store::new(Client::from_conf(noting));
    let titles = store
        .all_products()
        .await?
        .iter()
        .map(|item| (text(item.get("sku")), text(item.get("title"))))
        .collect();
    let (sender, receiver) = unbounded_channel();
    let _ = ARCHIVE.set(sender);
    tokio::spawn(archive(receiver));
    let app = Router::new()
        .route("/customers/{customer}/orders", get(list_orders))
        .route("/customers/{customer}/orders/{order}", get(read_order))
        .route("/customers/{customer}/spending", get(read_spending))
        .route("/reports/export/{warehouse}", get(export))
        .route("/desk/{customer}/label/{order}", get(label))
        .route("/desk/{customer}/manual/{sku}", get(manual))
        .route("/desk/{customer}/refused/{order}", get(refused))
        .route("/desk/{customer}/queue", get(queue))
        .route("/desk/{customer}/tenant", get(tenant))
        .route("/desk/{customer}/watch", get(watch))
        .route("/desk/{customer}/audited/{order}", get(audited))
        .route("/desk/{customer}/recent/{order}", get(recent))
        .route("/health", get(health))
        .route("/debug/pprof/heap", get(heap))
        .with_state(Arc::new(Orders { store, noted, titles }));
    let listener = tokio::net::TcpListener::bind(orders::address()).await?;
    Ok(axum::serve(listener, app).await?)
}
