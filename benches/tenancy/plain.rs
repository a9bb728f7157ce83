//! The servers to compare with: what an engineer would write with the same packages, without tenants
//! (the limit), and with a tenant's schema chosen in a round trip of its own.

use std::net::{SocketAddr, TcpListener};

use actix_web::http::header::AUTHORIZATION;
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpRequest, HttpServer, web};
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use helixai::domain::token::ParsedToken;
use helixai::http::observe::observe;
use serde::Serialize;
use tokio_postgres::types::Type;
use tokio_postgres::{Config, NoTls, Row, Statement};
use uuid::Uuid;

/// As many as the program opens for four lanes.
const CONNECTIONS: usize = 16;

/// The same text that the program sends, so that the database's own work is the same.
const LIST: &str = "\
select id, name, phone, email, source, stage, notes, assigned_to, version, created_at, updated_at \
from leads where ($1::text is null or stage = $1) and ($2::text is null or source = $2) \
and ($3::uuid is null or assigned_to = $3) and ($4::timestamptz is null or (created_at, id) < ($4, $5)) \
order by created_at desc, id desc limit $6";

const KEY: &str = "select id, scopes from api_keys where key_hash = $1 and revoked_at is null";

#[derive(Serialize)]
struct Page {
    items: Vec<Lead>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Lead {
    id: Uuid,
    name: String,
    phone: Option<String>,
    email: Option<String>,
    source: Option<String>,
    stage: String,
    notes: Option<String>,
    assigned_to: Option<Uuid>,
    version: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A running server.
pub struct Plain {
    pub address: SocketAddr,
}

/// Connections whose path is one fixed schema.
#[derive(Clone)]
struct OneSchema(Pool);

/// Connections whose path is set by each request.
#[derive(Clone)]
struct AnySchema(Pool);

impl Plain {
    /// Starts it; it serves until the program ends.
    pub async fn start(url: &str, schema: String, workers: usize) -> anyhow::Result<Self> {
        let one = OneSchema(pool(url, &schema)?);
        let any = AnySchema(pool(url, "pg_catalog")?);
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let server = HttpServer::new(move || {
            let observed = web::scope("/observed")
                .route("/leads", web::get().to(list))
                .route("/keyed", web::get().to(list_with_key))
                .wrap(Compress::default())
                .wrap(from_fn(observe));
            App::new()
                .app_data(web::Data::new(one.clone()))
                .app_data(web::Data::new(any.clone()))
                .route("/leads", web::get().to(list))
                .route("/sequential", web::get().to(list_in_four_round_trips))
                .service(observed)
        })
        .workers(workers)
        .disable_signals()
        .listen(listener)?
        .run();
        tokio::spawn(server);
        Ok(Self { address })
    }
}

fn pool(url: &str, path: &str) -> anyhow::Result<Pool> {
    let mut config: Config = url.parse()?;
    config.options(format!(
        "-c search_path={path} -c plan_cache_mode=force_generic_plan"
    ));
    let manager = Manager::from_config(
        config,
        NoTls,
        ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        },
    );
    Pool::builder(manager)
        .max_size(CONNECTIONS)
        .build()
        .context("the plain server's pool")
}

async fn list(pool: web::Data<OneSchema>) -> actix_web::Result<web::Json<Page>> {
    let client = pool.0.get().await.map_err(failed)?;
    let statement = client.prepare_typed_cached(LIST, &TYPES).await.map_err(failed)?;
    let rows = client.query(&statement, &all()).await.map_err(failed)?;
    page(&rows)
}

/// As [`list`], for the holder of an API key: the key is looked up beside the rows, in the same round trip.
async fn list_with_key(
    request: HttpRequest,
    pool: web::Data<OneSchema>,
) -> actix_web::Result<web::Json<Page>> {
    let bearer = request.headers().get(AUTHORIZATION);
    let token: ParsedToken = bearer
        .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
        .and_then(|token| ParsedToken::parse(token).ok())
        .ok_or_else(|| actix_web::error::ErrorUnauthorized("no API key"))?;
    let client = pool.0.get().await.map_err(failed)?;
    let key = client
        .prepare_typed_cached(KEY, &[Type::BYTEA])
        .await
        .map_err(failed)?;
    let statement = client.prepare_typed_cached(LIST, &TYPES).await.map_err(failed)?;
    let (hash, values) = (token.hash.as_bytes().as_slice(), all());
    let hash: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&hash];
    let (known, rows) =
        tokio::try_join!(client.query_opt(&key, &hash), client.query(&statement, &values)).map_err(failed)?;
    let scopes: Vec<String> = known
        .ok_or_else(|| actix_web::error::ErrorUnauthorized("unknown API key"))?
        .try_get(1)
        .map_err(failed)?;
    if !scopes.iter().any(|scope| scope == "read") {
        return Err(actix_web::error::ErrorForbidden("may not read"));
    }
    page(&rows)
}

/// `begin`, the path, the query, `commit`: each answered before the next is sent. Less than the program does: no
/// credentials, no role, no lock.
async fn list_in_four_round_trips(
    request: HttpRequest,
    pool: web::Data<AnySchema>,
) -> actix_web::Result<web::Json<Page>> {
    let schema = request
        .headers()
        .get("x-schema")
        .and_then(|name| name.to_str().ok());
    let path = format!("\"{}\", pg_temp", schema.unwrap_or_default());
    let mut client = pool.0.get().await.map_err(failed)?;
    let set_path = client
        .prepare_typed_cached("select set_config('search_path', $1, true)", &[Type::TEXT])
        .await
        .map_err(failed)?;
    let transaction = client.transaction().await.map_err(failed)?;
    transaction.query(&set_path, &[&path]).await.map_err(failed)?;
    let statement: Statement = transaction
        .prepare_typed_cached(LIST, &TYPES)
        .await
        .map_err(failed)?;
    let rows = transaction.query(&statement, &all()).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    page(&rows)
}

const TYPES: [Type; 6] = [
    Type::TEXT,
    Type::TEXT,
    Type::UUID,
    Type::TIMESTAMPTZ,
    Type::UUID,
    Type::INT8,
];

fn all() -> [&'static (dyn tokio_postgres::types::ToSql + Sync); 6] {
    [
        &None::<&str>,
        &None::<&str>,
        &None::<Uuid>,
        &None::<DateTime<Utc>>,
        &None::<Uuid>,
        &51_i64,
    ]
}

fn page(rows: &[Row]) -> actix_web::Result<web::Json<Page>> {
    let items = rows.iter().map(lead).collect::<Result<_, _>>().map_err(failed)?;
    Ok(web::Json(Page {
        items,
        next_cursor: None,
    }))
}

fn lead(row: &Row) -> Result<Lead, tokio_postgres::Error> {
    Ok(Lead {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        phone: row.try_get(2)?,
        email: row.try_get(3)?,
        source: row.try_get(4)?,
        stage: row.try_get(5)?,
        notes: row.try_get(6)?,
        assigned_to: row.try_get(7)?,
        version: row.try_get(8)?,
        created_at: row.try_get(9)?,
        updated_at: row.try_get(10)?,
    })
}

fn failed(error: impl std::fmt::Debug + std::fmt::Display + 'static) -> actix_web::Error {
    actix_web::error::ErrorInternalServerError(error)
}
