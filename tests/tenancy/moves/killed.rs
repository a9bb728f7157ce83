//! The program dies as by `kill -9` at any named point of a move: afterwards the tenant lives here or there, with every row,
//! and nothing is left of the way.

use std::time::Duration;

use helixai::db::tenant::Query;

use super::{Other, home_of, sound};
use crate::helpers::{TestDb, tenant_db_of};
use crate::tenancy::killed::{Killed, ended, must_die, points};
use crate::tenancy::snapshots::{content, fill, number};

/// From here on a move is finished, never taken back.
const SWITCHED: [&str; 8] = [
    "move.switched",
    "move.granted",
    "move.stopped",
    "move.unpublished",
    "move.unsubscribed",
    "move.removed",
    "move.before_done",
    "move.done",
];

/// What a server does when it looks: at once, without waiting for any lease.
pub async fn settle(killed: &Killed) {
    let platform = killed.test.second().await;
    for _ in 0..600 {
        platform
            .mover
            .settle_abandoned()
            .await
            .expect("the registry is searched");
        let admin = killed.test.admin().await;
        let unended = "select count(*) from master.tenant_moves where ended_at is null";
        if number(&admin, unended).await == 0 {
            platform.close().await;
            return;
        }
        // The server has not noticed yet that its client is dead.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the move is never settled");
}

/// It is served where it lives, with every row.
async fn is_whole(
    killed: &Killed,
    whole: &std::collections::BTreeMap<String, Vec<String>>,
    point: &str,
) -> String {
    let (shard, admin) = home_of(&killed.test.platform, "garage").await;
    assert_eq!(&content(&admin, "tenant_garage").await, whole, "{point}");
    let db = tenant_db_of(&killed.test.platform, "garage").await;
    let count = Query::<i64>::one("select count(*) from leads", |mut row| row.next());
    let reply = db.run(&killed.test.system(), count).await;
    assert_eq!(
        reply.unwrap_or_else(|error| panic!("{point}: {error}")).output,
        61
    );
    sound(&killed.test).await;
    shard
}

/// Every third point, so that the parts can run beside one another.
async fn die_at_every_third(from: usize) {
    let killed = Killed::start(250).await;
    let _other = Other::add(&killed.test.platform).await;
    killed.test.onboard("garage", "cars").await;
    let admin = killed.test.admin().await;
    fill(&admin, "tenant_garage").await;
    let whole = content(&admin, "tenant_garage").await;
    let points = points("move");
    for (number, point) in points.iter().enumerate().skip(from).step_by(3) {
        // Only a move that fails is taken back by its own worker.
        if point == "move.undoing" {
            continue;
        }
        let (here, _) = home_of(&killed.test.platform, "garage").await;
        let there = if here == "local" { "other" } else { "local" };
        let command = || killed.command(&["tenant", "move", "garage", there, "--json"]);
        must_die(command(), point).await;
        if number % 2 == 0 {
            settle(&killed).await;
            let now = is_whole(&killed, &whole, point).await;
            let expected = if SWITCHED.contains(&point.as_str()) {
                there
            } else {
                &here
            };
            assert_eq!(now, expected, "{point}");
        }
        let run = ended(command()).await;
        assert!(run.status.success(), "{point}: {run:?}");
        assert_eq!(is_whole(&killed, &whole, point).await, there, "{point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_move_killed_at_any_point_ends_here_or_there() {
    die_at_every_third(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_move_killed_at_any_other_point_ends_here_or_there() {
    die_at_every_third(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_move_killed_at_any_further_point_ends_here_or_there() {
    die_at_every_third(2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_move_that_fails_is_taken_back_even_when_that_is_killed() {
    let killed = Killed::start(250).await;
    let _other = Other::add(&killed.test.platform).await;
    killed.test.onboard("garage", "cars").await;
    let admin = killed.test.admin().await;
    fill(&admin, "tenant_garage").await;
    // A request that takes longer than a tenant may stand still. It has not written yet: a slot would wait for it.
    let db = tenant_db_of(&killed.test.platform, "garage").await;
    let insert = Query::<i64>::one(
        "with made as (insert into contacts (id, name, phone, created_at, updated_at)
                       values (gen_random_uuid(), 'Bia', '+5511999990000', now(), now()) returning 1)
         select count(*) from made",
        |mut row| row.next(),
    );
    let (tx, _) = db.begin(&killed.test.system(), ()).await.expect("it begins");
    let command = || killed.command(&["tenant", "move", "garage", "other"]);
    must_die(command(), "move.undoing").await;
    settle(&killed).await;
    // It is served as before, the slow one included.
    tx.commit(insert).await.expect("it is written");
    let there = "select count(*) from tenant_garage.contacts where name = 'Bia'";
    assert_eq!(number(&admin, there).await, 1);
    sound(&killed.test).await;
    let run = ended(command()).await;
    assert!(run.status.success(), "{run:?}");
    let (shard, other) = home_of(&killed.test.platform, "garage").await;
    assert_eq!((shard.as_str(), number(&other, there).await), ("other", 1));
    sound(&killed.test).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_shard_whose_addition_is_killed_can_be_added() {
    let killed = Killed::start(250).await;
    let db = TestDb::create_empty().await;
    let url = db.url();
    let command = || killed.command(&["shard", "add", "other", &url]);
    for point in points("shard") {
        must_die(command(), &point).await;
        let run = ended(command()).await;
        assert!(run.status.success(), "{point}: {run:?}");
        sound(&killed.test).await;
    }
}
