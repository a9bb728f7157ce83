//! Moves: what comes along, who notices, and what is refused.

mod ends;
#[cfg(feature = "kill_points")]
mod killed;
#[cfg(feature = "kill_points")]
mod lost;
mod refused;
mod same_cluster;
mod writers;

use helixai::db::connect::AdminClient;
use helixai::domain::clock::Clock;
use helixai::domain::ids::ShardId;
use helixai::platform::{Platform, doctor};
use helixai::tenancy::moving::{MoveError, Moved};
use helixai::tenancy::shard_book::NewShard;

use super::snapshots::{silent, tenant_key};
use crate::helpers::{TestDb, TestPlatform, cli_origin};

/// Another database of the same server, added as a shard.
pub struct Other {
    pub name: &'static str,
    _db: TestDb,
}

impl Other {
    pub async fn add(platform: &Platform) -> Self {
        let db = TestDb::create_empty().await;
        add(platform, "other", &db.url()).await;
        Self {
            name: "other",
            _db: db,
        }
    }
}

/// Makes the database of this address a shard.
pub async fn add(platform: &Platform, name: &str, url: &str) {
    let new = NewShard {
        name: name.to_owned(),
        url: url.to_owned().into(),
        max_tenants: None,
    };
    platform
        .shards
        .add(new, cli_origin(), &platform.clock)
        .await
        .expect("the shard is added");
}

pub async fn move_to(platform: &Platform, key: &str, shard: &str) -> Result<Moved, MoveError> {
    platform
        .mover
        .move_tenant(&tenant_key(key), shard, cli_origin(), &silent())
        .await
}

/// The name of the shard on which the registry has a tenant, and a connection of its administrator.
pub async fn home_of(platform: &Platform, key: &str) -> (String, AdminClient) {
    let admin = platform
        .shards
        .administrator(local(platform).await)
        .await
        .unwrap();
    let row = admin
        .query_one(
            "select s.name, s.id from master.tenants t join master.shards s on s.id = t.shard_id where t.tenant_key = $1",
            &[&key],
        )
        .await
        .unwrap();
    let shard = ShardId::from_uuid(row.get(1));
    let client = platform.shards.administrator(shard).await.unwrap();
    (row.get(0), client)
}

/// A connection of the administrator of the shard of this name.
pub async fn admin_of(platform: &Platform, shard: &str) -> AdminClient {
    let shards = helixai::db::master::lanes::list_shards(&platform.master).await;
    let shards = shards.expect("the registry is read");
    let shard = shards.iter().find(|known| known.name == shard);
    let shard = shard.expect("there is one of this name").id;
    platform.shards.administrator(shard).await.expect("it answers")
}

/// The shard of the registry's own database.
pub async fn local(platform: &Platform) -> ShardId {
    let shards = helixai::db::master::lanes::list_shards(&platform.master).await;
    let shards = shards.expect("the registry is read");
    let local = shards.iter().find(|shard| shard.database_url_sealed.is_none());
    local.expect("there is one").id
}

/// Nothing is missing, stray or counted wrongly on any shard, and no move has left anything.
pub async fn sound(test: &TestPlatform) {
    let doctor = doctor(&test.settings, 1, &Clock::system()).expect("the settings are right");
    let found: Vec<_> = doctor
        .examine()
        .await
        .into_iter()
        .filter(|finding| {
            !["locks", "wal_level", "durability", "passwords", "connections"].contains(&finding.check)
        })
        .map(|finding| format!("{}: {}", finding.check, finding.what))
        .collect();
    assert_eq!(found, [""; 0]);
    let admin = test.admin().await;
    let unended = "select count(*) from master.tenant_moves where ended_at is null";
    assert_eq!(super::snapshots::number(&admin, unended).await, 0);
}
