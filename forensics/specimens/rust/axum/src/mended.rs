//! The orders service on axum, mended: what is kept is bounded, what is begun ends, what is queued has room.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, OnceLock};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::get;
use orders::bounded::Bounded;
use orders::journal::KeepsLines;
use orders::models::{Summary, number, text};
use orders::profiling;
use orders::store::{Store, config};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel};

const MOST_RECENT: usize = 64;
const SHOWN_FOR: Duration = Duration::from_millis(500);

/// The help desk's page asks for the same orders every few seconds while a call lasts: answer from here.
static ANSWERS: LazyLock<Mutex<Bounded<String, Vec<Summary>>>> =
    LazyLock::new(|| Mutex::new(Bounded::new(MOST_RECENT)));
/// By customer, order and desk: the labels that were last looked at.
static LABELS: LazyLock<Mutex<Bounded<String, Vec<u8>>>> = LazyLock::new(|| Mutex::new(Bounded::new(MOST_RECENT)));
/// By product and desk: the titles of the manuals that were last looked at.
static MANUALS: LazyLock<Mutex<Bounded<String, String>>> = LazyLock::new(|| Mutex::new(Bounded::new(MOST_RECENT)));
/// Why the last orders were refused, in words: the error itself holds the raw response and the order that was there.
static REFUSALS: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());
/// How many orders were exported so far.
static EXPORTED: AtomicUsize = AtomicUsize::new(0);
/// What waits to be archived: so many summaries at most.
static ARCHIVE: OnceLock<Sender<Vec<Summary>>> = OnceLock::new();
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
    let known = ANSWERS.lock().unwrap().get(&key).cloned();
    let answer: Vec<Summary> = match known {
        Some(answer) => answer,
        None => {
            let output = app.store.query_orders(&customer, &since, 20).await.map_err(failed)?;
            let answer: Vec<Summary> = output.items().iter().map(Summary::from).collect();
            ANSWERS.lock().unwrap().put(key, answer.clone());
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
    let exported = EXPORTED.fetch_add(page.items().len(), Ordering::Relaxed) + page.items().len();
    Ok(Json(json!({ "exported": exported })))
}

async fn label(
    State(app): App,
    Path((customer, order)): Path<(String, String)>,
    Query(asked): Query<Question>,
) -> Answer {
    let output = app.store.get_order(&customer, &order).await.map_err(failed)?;
    let item = output
        .item()
        .ok_or((StatusCode::NOT_FOUND, "no such order".to_string()))?;
    let label = item
        .get("label")
        .and_then(|label| label.as_b().ok())
        .map(|label| label.as_ref().to_vec());
    let key = format!("{customer}/{order}/{}", asked.desk.unwrap_or_default());
    LABELS.lock().unwrap().put(key, label.unwrap_or_default());
    Ok(Json(json!({ "attributes": item.len() })))
}

async fn manual(State(app): App, Path((_, sku)): Path<(String, String)>, Query(asked): Query<Question>) -> Answer {
    let output = app.store.get_manual(&sku, Some("title")).await.map_err(failed)?;
    let title = output.item().map(|item| text(item.get("title"))).unwrap_or_default();
    let key = format!("{sku}/{}", asked.desk.unwrap_or_default());
    MANUALS.lock().unwrap().put(key, title.clone());
    Ok(Json(json!({ "title": title })))
}

async fn refused(State(app): App, Path((customer, order)): Path<(String, String)>) -> Answer {
    let placed = app.store.place_order(&customer, &order).await;
    let mut refusals = REFUSALS.lock().unwrap();
    if let Err(error) = placed {
        refusals.push_back(error.message().unwrap_or("no answer").into());
    }
    if refusals.len() > MOST_RECENT {
        refusals.pop_front();
    }
    Ok(Json(json!({ "refused": refusals.len() })))
}

async fn queue(State(app): App, Path(customer): Path<String>) -> Answer {
    let output = app
        .store
        .query_orders(&customer, "2020-01-01", 5)
        .await
        .map_err(failed)?;
    let count = output.count();
    let archived = output.items().iter().map(Summary::from).collect();
    // Where there is no room the caller is told; nothing piles up.
    let queued = ARCHIVE.get().is_some_and(|archive| archive.try_send(archived).is_ok());
    Ok(Json(json!({ "orders": count, "queued": queued })))
}

/// Archives one answer in ten seconds: far slower than they come.
async fn archive(mut waiting: Receiver<Vec<Summary>>) {
    while let Some(output) = waiting.recv().await {
        tokio::time::sleep(Duration::from_secs(10)).await;
        drop(output);
    }
}

async fn tenant(State(app): App, Path(customer): Path<String>) -> Answer {
    let output = app.store.latest_orders(&customer, 1).await.map_err(failed)?;
    Ok(Json(json!({ "orders": output.count() })))
}

async fn watch(State(app): App, Path(customer): Path<String>) -> Answer {
    let page = app
        .store
        .query_orders(&customer, "2020-01-01", 5)
        .await
        .map_err(failed)?;
    let watching = page.count();
    // It ends with the time the page is shown, and holds nothing of it.
    tokio::spawn(tokio::time::timeout(SHOWN_FOR, std::future::pending::<()>()));
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
    let noting = config().to_builder().interceptor(KeepsLines).build();
    let noted = Store::new(Client::from_conf(noting));
    let titles = store
        .all_products()
        .await?
        .iter()
        .map(|item| (text(item.get("sku")), text(item.get("title"))))
        .collect();
    let (sender, receiver) = channel(MOST_RECENT);
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
