//! The orders service on actix-web, mended: what is kept is bounded, what is begun ends, what is queued has room.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, OnceLock};
use std::time::Duration;

use actix_web::error::{ErrorInternalServerError, ErrorNotFound};
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{App, HttpServer, web};
use aws_sdk_dynamodb::Client;
use orders::bounded::Bounded;
use orders::journal::KeepsLines;
use orders::models::{Summary, number};
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

type Answer = Result<Json<Value>, actix_web::Error>;

fn failed(error: orders::Error) -> actix_web::Error {
    ErrorInternalServerError(error.to_string())
}

#[derive(Deserialize)]
struct Question {
    since: Option<String>,
    status: Option<String>,
    desk: Option<String>,
}

async fn list_orders(app: Data<Orders>, customer: Path<String>, asked: Query<Question>) -> Answer {
    let asked = asked.into_inner();
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

async fn read_order(app: Data<Orders>, path: Path<(String, String)>) -> Answer {
    let (customer, order) = path.into_inner();
    let output = app.store.get_order(&customer, &order).await.map_err(failed)?;
    let item = output.item().ok_or_else(|| ErrorNotFound("no such order"))?;
    Ok(Json(json!(Summary::from(item))))
}

async fn read_spending(app: Data<Orders>, customer: Path<String>) -> Answer {
    let output = app.store.latest_orders(&customer, 10).await.map_err(failed)?;
    let total: f64 = output.items().iter().map(|item| number(item.get("total"))).sum();
    Ok(Json(json!({ "orders": output.count(), "total": total })))
}

async fn export(app: Data<Orders>, warehouse: Path<String>) -> Answer {
    let page = app.store.first_page_of(&warehouse, 100).await.map_err(failed)?;
    let exported = EXPORTED.fetch_add(page.items().len(), Ordering::Relaxed) + page.items().len();
    Ok(Json(json!({ "exported": exported })))
}

async fn label(app: Data<Orders>, path: Path<(String, String)>, asked: Query<Question>) -> Answer {
    let asked = asked.into_inner();
    let (customer, order) = path.into_inner();
    let output = app.store.get_order(&customer, &order).await.map_err(failed)?;
    let item = output.item().ok_or_else(|| ErrorNotFound("no such order"))?;
    let label = item
        .get("label")
        .and_then(|label| label.as_b().ok())
        .map(|label| label.as_ref().to_vec());
    let key = format!("{customer}/{order}/{}", asked.desk.unwrap_or_default());
    LABELS.lock().unwrap().put(key, label.unwrap_or_default());
    Ok(Json(json!({ "attributes": item.len() })))
}

async fn queue(app: Data<Orders>, customer: Path<String>) -> Answer {
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

async fn tenant(app: Data<Orders>, customer: Path<String>) -> Answer {
    let output = app.store.latest_orders(&customer, 1).await.map_err(failed)?;
    Ok(Json(json!({ "orders": output.count() })))
}

async fn watch(app: Data<Orders>, customer: Path<String>) -> Answer {
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

async fn audited(app: Data<Orders>, path: Path<(String, String)>) -> Answer {
    let (customer, order) = path.into_inner();
    let output = app.noted.get_order(&customer, &order).await.map_err(failed)?;
    Ok(Json(json!({ "found": output.item().is_some() })))
}

async fn recent(app: Data<Orders>, path: Path<(String, String)>) -> Answer {
    let (customer, order) = path.into_inner();
    let output = app.store.get_order(&customer, &order).await.map_err(failed)?;
    let item = output.item().ok_or_else(|| ErrorNotFound("no such order"))?;
    let mut recent = RECENT.lock().unwrap();
    recent.push_back(Summary::from(item));
    if recent.len() > MOST_RECENT {
        recent.pop_front();
    }
    Ok(Json(json!({ "recent": recent.len() })))
}

async fn health(app: Data<Orders>) -> Answer {
    Ok(Json(json!({ "products": app.titles.len() })))
}

async fn heap() -> Result<Vec<u8>, actix_web::Error> {
    profiling::heap().await.map_err(failed)
}

#[actix_web::main]
async fn main() -> Result<(), orders::Error> {
    let store = Store::new(Client::from_conf(config()));
    let noting = config().to_builder().interceptor(KeepsLines).build();
    let noted = Store::new(Client::from_conf(noting));
    let titles = store
        .all_products()
        .await?
        .iter()
        .map(|item| {
            (
                orders::models::text(item.get("sku")),
                orders::models::text(item.get("title")),
            )
        })
        .collect();
    let (sender, receiver) = channel(MOST_RECENT);
    let _ = ARCHIVE.set(sender);
    tokio::spawn(archive(receiver));
    let data = Data::new(Orders { store, noted, titles });
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .route("/customers/{customer}/orders", web::get().to(list_orders))
            .route("/customers/{customer}/orders/{order}", web::get().to(read_order))
            .route("/customers/{customer}/spending", web::get().to(read_spending))
            .route("/reports/export/{warehouse}", web::get().to(export))
            .route("/desk/{customer}/label/{order}", web::get().to(label))
            .route("/desk/{customer}/queue", web::get().to(queue))
            .route("/desk/{customer}/tenant", web::get().to(tenant))
            .route("/desk/{customer}/watch", web::get().to(watch))
            .route("/desk/{customer}/audited/{order}", web::get().to(audited))
            .route("/desk/{customer}/recent/{order}", web::get().to(recent))
            .route("/health", web::get().to(health))
            .route("/debug/pprof/heap", web::get().to(heap))
    });
    Ok(server.workers(2).bind(orders::address())?.run().await?)
}
