//! Two tenants, one connection, ten thousand steps: failures, cancellations, transactions of every end. After each
//! step the connection must find itself in the right schema, as the right role, among its own rows.

use std::collections::HashSet;
use std::time::Duration;

use helixai::db::DbError;
use helixai::db::tenant::{Access, TenantDb};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use uuid::Uuid;

use super::failures::give_up_after;
use super::queries::{
    count_contacts_not_named, divide_by_zero, insert_contact, list_contact_ids, two_photos_in_one_place,
    whereabouts,
};
use crate::helpers::TestPlatform;

const PAIRS: u64 = 4;
const STEPS: usize = 10_000 / (PAIRS as usize * 2);

/// One tenant, with what must and what must not be among its rows.
struct Actor {
    name: String,
    schema: String,
    role: String,
    db: TenantDb,
    access: Access,
    random: StdRng,
    written: HashSet<Uuid>,
    refused: HashSet<Uuid>,
}

impl Actor {
    async fn step(&mut self) {
        let id = Uuid::from_u128(self.random.random());
        let insert = insert_contact(id, &self.name);
        // What is known of the row afterwards; nothing, when the request was given up on the way.
        let outcome: Option<bool> = match self.random.random_range(0..100) {
            0..30 => Some(self.db.run(&self.access, insert).await.map(drop).is_ok()),
            30..45 => Some(
                self.db
                    .run(&self.access, (insert, divide_by_zero()))
                    .await
                    .map(drop)
                    .is_ok(),
            ),
            45..55 => {
                let again = insert_contact(id, &self.name);
                Some(self.db.run(&self.access, (insert, again)).await.map(drop).is_ok())
            }
            55..60 => Some(
                self.db
                    .run(&self.access, (insert, two_photos_in_one_place()))
                    .await
                    .map(drop)
                    .is_ok(),
            ),
            60..70 => {
                let polls = self.random.random_range(1..6);
                give_up_after(polls, self.db.run(&self.access, insert))
                    .await
                    .map(|done| done.is_ok())
            }
            70..80 => {
                let time = Duration::from_micros(self.random.random_range(0..2000));
                tokio::time::timeout(time, self.db.run(&self.access, insert))
                    .await
                    .ok()
                    .map(|done| done.is_ok())
            }
            other => self.transaction(id, other).await,
        };
        match outcome {
            Some(true) => drop(self.written.insert(id)),
            Some(false) => drop(self.refused.insert(id)),
            None => {}
        }
        self.check().await;
    }

    async fn transaction(&mut self, id: Uuid, choice: u32) -> Option<bool> {
        let insert = insert_contact(id, &self.name);
        let polls = self.random.random_range(1..12);
        let (mut tx, _) = self
            .db
            .begin(&self.access, whereabouts())
            .await
            .expect("a transaction begins");
        match choice {
            80..85 => {
                tx.run(insert).await.expect("a row is written");
                Some(tx.commit(()).await.is_ok())
            }
            85..88 => {
                tx.run(insert).await.expect("a row is written");
                tx.rollback().await.expect("it is taken back");
                Some(false)
            }
            88..91 => {
                tx.run(insert).await.expect("a row is written");
                drop(tx);
                Some(false)
            }
            91..94 => {
                let failed: Result<_, DbError> = tx.run((insert, divide_by_zero())).await;
                failed.expect_err("it cannot be divided");
                Some(tx.commit(()).await.is_ok())
            }
            94..97 => {
                give_up_after(polls, tx.run(insert)).await;
                drop(tx);
                Some(false)
            }
            _ => give_up_after(polls, tx.commit(insert))
                .await
                .map(|done| done.is_ok()),
        }
    }

    async fn check(&self) {
        let batch = (whereabouts(), count_contacts_not_named(&self.name));
        let (whereabouts, foreign) = self
            .db
            .run(&self.access, batch)
            .await
            .expect("the check runs")
            .output;
        assert_eq!(whereabouts, (Some(self.schema.clone()), self.role.clone()));
        assert_eq!(foreign, 0, "rows of another tenant");
    }

    async fn check_rows(&self) {
        let rows = self
            .db
            .run(&self.access, list_contact_ids())
            .await
            .expect("the rows")
            .output;
        let rows: HashSet<Uuid> = rows.into_iter().collect();
        assert!(
            self.written.is_subset(&rows),
            "what was answered as written is there"
        );
        assert!(
            self.refused.is_disjoint(&rows),
            "what was answered as refused is not"
        );
        assert!(self.written.len() > STEPS / 5 && self.refused.len() > STEPS / 5);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_tenants_on_one_connection_never_meet() {
    // A lane for each pair of tenants, a single connection for each lane.
    let test = TestPlatform::builder()
        .lane_pool(1)
        .lane_capacity(2)
        .set("database.wait_timeout_secs", 30)
        .start()
        .await;
    let mut actors = Vec::new();
    for number in 0..PAIRS * 2 {
        let tenant = test.onboard(&format!("garage-{number}"), "cars").await;
        let resolved = test.resolved(&tenant).await;
        actors.push(Actor {
            name: tenant.tenant_key.clone(),
            schema: resolved.home.schema.clone(),
            role: resolved.home.role.clone(),
            db: test.tenant_db(&tenant).await,
            access: test.system(),
            random: StdRng::seed_from_u64(20_260_101 + number),
            written: HashSet::new(),
            refused: HashSet::new(),
        });
    }
    let running: Vec<_> = actors
        .into_iter()
        .map(|mut actor| {
            tokio::spawn(async move {
                for _ in 0..STEPS {
                    actor.step().await;
                }
                actor.check_rows().await;
            })
        })
        .collect();
    for actor in running {
        actor.await.unwrap();
    }
}
