//! `/api/admin/shards`: the databases that tenants live in, and how full they are.

use actix_web::{get, web};
use serde::Serialize;

use crate::db::master::lanes::{self, LaneState, ShardState};
use crate::domain::ids::ShardId;
use crate::domain::page::Page;
use crate::http::extract::AdminAccess;
use crate::http::problem::{Problem, ProblemBody};

/// A database that holds tenants.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Shard {
    id: ShardId,
    name: String,
    /// `local`: the database of the registry; `remote`: another one.
    kind: String,
    /// `open`: takes new tenants; `closed`: keeps those that it has.
    status: String,
    /// Tenants that it may have.
    max_tenants: i32,
    /// Tenants that it has.
    tenants: i64,
    lanes: Vec<Lane>,
}

/// A login of a shard with its own small pool.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Lane {
    number: i32,
    login: String,
    /// `open` or `closed`.
    status: String,
    /// Tenants that it may have.
    capacity: i32,
    /// Tenants that it has.
    tenants: i32,
}

impl From<LaneState> for Lane {
    fn from(lane: LaneState) -> Self {
        Self {
            number: lane.number,
            login: lane.login,
            status: lane.status,
            capacity: lane.capacity,
            tenants: lane.tenants,
        }
    }
}

impl From<ShardState> for Shard {
    fn from(shard: ShardState) -> Self {
        Self {
            id: shard.id,
            name: shard.name,
            kind: shard.kind,
            status: shard.status,
            max_tenants: shard.max_tenants,
            tenants: shard.lanes.iter().map(|lane| i64::from(lane.tenants)).sum(),
            lanes: shard.lanes.into_iter().map(Lane::from).collect(),
        }
    }
}

/// List shards, oldest first. They are few: there is one page.
#[utoipa::path(
    tag = "admin shards", operation_id = "list_shards", security(("admin" = [])),
    responses((status = 200, body = Page<Shard>), (status = "4XX", body = ProblemBody), (status = "5XX", body = ProblemBody))
)]
#[get("/api/admin/shards")]
pub async fn list_shards(access: AdminAccess) -> Result<web::Json<Page<Shard>>, Problem> {
    let shards = lanes::list_shard_states(&access.platform.master).await?;
    Ok(web::Json(Page {
        items: shards.into_iter().map(Shard::from).collect(),
        next_cursor: None,
    }))
}
