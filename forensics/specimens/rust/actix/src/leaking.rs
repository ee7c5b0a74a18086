//! The orders service on actix-web, as it was found: memory grows in several ways.

use std::collections::{HashMap, VecDeque};
use std::sync::{LazyLock, Mutex, OnceLock};
use std::time::Duration;

use actix_web::error::{ErrorInternalServerError, ErrorNotFound, ErrorServiceUnavailable};
use actix_web::web::{Data, Json, Path, Query};
use actix_web::{App, HttpServer, web};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use orders::journal::KeepsBodies;
use orders::models::{Summary, number};
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
    let mut exported = EXPORTED.lock().unwrap();
    exported.extend(page.items.unwrap_or_default());
    Ok(Json(json!({ "exported": exported.len() })))
}

async fn label(app: Data<Orders>, path: Path<(String, String)>, asked: Query<Question>) -> Answer {
    let asked = asked.into_inner();
    let (customer, order) = path.into_inner();
    let output = app.store.get_order(&customer, &order).await.map_err(failed)?;
    let item = output.item.unwrap_or_default();
    let attributes = item.len();
    let key = format!("{customer}/{order}/{}", asked.desk.unwrap_or_default());
    LABELS.lock().unwrap().insert(key, item);
    Ok(Json(json!({ "attributes": attributes })))
}

async fn queue(app: Data<Orders>, customer: Path<String>) -> Answer {
    let output = app
        .store
        .query_orders(&customer, "2020-01-01", 5)
        .await
        .map_err(failed)?;
    let count = output.count();
    if let Some(archive) = ARCHIVE.get() {
        archive
            .send(output)
            .map_err(|_| ErrorServiceUnavailable("the archive is closed"))?;
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

async fn tenant(customer: Path<String>) -> Answer {
    let own = Store::new(Client::from_conf(config()));
    let output = own.latest_orders(&customer, 1).await.map_err(failed)?;
    TENANTS.lock().unwrap().push(own);
    Ok(Json(json!({ "orders": output.count() })))
}

async fn watch(app: Data<Orders>, customer: Path<String>) -> Answer {
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
    let noting = config().to_builder().interceptor(KeepsBodies).build();
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
    let (sender, receiver) = unbounded_channel();
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
