//! Between two databases of one cluster, where roles are shared and a subscription that made its own slot would hang.

use helixai::domain::tenant_move::MovePhase;
use helixai::tenancy::moving::Moved;

use super::{Other, home_of, move_to, sound};
use crate::helpers::{TestApp, TestPlatform, resolved_by, tenant_db_of};
use crate::tenancy::snapshots::{content, fill, number};

fn phases(moved: &Moved) -> Vec<MovePhase> {
    moved.phases.iter().map(|(phase, _)| *phase).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_tenant_moves_there_and_back_with_every_row() {
    let test = TestPlatform::start().await;
    let platform = &test.platform;
    let other = Other::add(platform).await;
    let garage = test.onboard("garage", "cars").await;
    test.onboard("neighbour", "cars").await;
    let here = test.admin().await;
    fill(&here, &garage.schema_name).await;
    let before = content(&here, "tenant_garage").await;
    let beside = content(&here, "tenant_neighbour").await;
    let histories =
        "select string_agg(h::text, ',' order by version) from tenant_garage.schema_history_core h";
    let history: String = here.query_one(histories, &[]).await.unwrap().get(0);
    let id = garage.id.as_uuid();
    here.execute(
        "insert into helixai.due_work values ($1, '2031-05-06T07:08:09Z')",
        &[&id],
    )
    .await
    .unwrap();
    let (role, epoch) = {
        let tenant = resolved_by(platform, "garage").await;
        (tenant.home.role.clone(), tenant.epoch)
    };

    let moved = move_to(platform, "garage", other.name).await.expect("it moves");
    assert_eq!((moved.from.as_str(), moved.to.as_str()), ("local", "other"));
    let amount = moved.amount.expect("it is known");
    let rows: usize = before.values().map(Vec::len).sum();
    // The histories of the template are moved as well.
    assert!(amount.rows as usize > rows && amount.tables as usize == before.len() + 2);
    assert!(moved.compared && amount.bytes > 0 && moved.pause_ms.is_some_and(|pause| pause > 0.0));
    assert_eq!(
        phases(&moved),
        [
            MovePhase::Claimed,
            MovePhase::Preparing,
            MovePhase::Copying,
            MovePhase::CatchingUp,
            MovePhase::Fencing,
            MovePhase::Switched
        ]
    );

    let (shard, there) = home_of(platform, "garage").await;
    assert_eq!(shard, "other");
    assert_eq!(content(&there, "tenant_garage").await, before);
    let arrived: String = there.query_one(histories, &[]).await.unwrap().get(0);
    assert_eq!(arrived, history);
    let due = "select extract(epoch from due_at)::int8 from helixai.due_work";
    assert_eq!(number(&there, due).await, 1_935_817_689);
    let tenant = resolved_by(platform, "garage").await;
    assert_ne!(tenant.home.role, role);
    assert_eq!(tenant.epoch, epoch + 1);
    for (left, table) in [
        ("pg_namespace", "nspname = 'tenant_garage'"),
        ("helixai.tenant_roles", "role_name like '%tenant_garage'"),
        ("helixai.due_work", "true"),
        ("pg_publication", "true"),
    ] {
        let sql = format!("select count(*) from {left} where {table}");
        assert_eq!(number(&here, &sql).await, 0, "{left}");
    }
    let old_role = format!("select count(*) from pg_roles where rolname = '{role}'");
    assert_eq!(number(&here, &old_role).await, 0);
    assert_eq!(content(&here, "tenant_neighbour").await, beside);
    sound(&test).await;

    // It is served there, as itself.
    let db = tenant_db_of(platform, "garage").await;
    let count = helixai::db::tenant::Query::<i64>::one("select count(*) from leads", |mut row| row.next());
    assert_eq!(db.run(&test.system(), count).await.unwrap().output, 61);
    // Asked once more, nothing is done.
    let again = move_to(platform, "garage", other.name)
        .await
        .expect("it is there");
    assert!(again.amount.is_none() && again.from == "other");

    let back = move_to(platform, "garage", "local").await.expect("it moves back");
    assert_eq!(back.to, "local");
    assert!(back.amount.is_some_and(|again| again.rows == amount.rows));
    assert_eq!(content(&here, "tenant_garage").await, before);
    sound(&test).await;
    let actions = here
        .query(
            "select action from master.audit_log where tenant_id = $1 and action like 'tenant.move%' order by id",
            &[&id],
        )
        .await
        .unwrap();
    let actions: Vec<String> = actions.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        actions,
        [
            "tenant.move_begin",
            "tenant.move",
            "tenant.move_begin",
            "tenant.move"
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_suspended_tenant_moves_and_stays_suspended() {
    let app = TestApp::start().await;
    let platform = &app.test.platform;
    let other = Other::add(platform).await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let admin = |step: &str| {
        let path = format!("/api/admin/tenants/garage-alpha/{step}");
        app.post(&path).bearer(&app.admin.token)
    };
    admin("suspend").await.expect(200);
    move_to(platform, "garage-alpha", other.name)
        .await
        .expect("it moves");
    let list = || app.get("/api/leads").by(&garage);
    list().await.problem(403, "tenant_suspended");
    sound(&app.test).await;
    let (_, there) = home_of(platform, "garage-alpha").await;
    let members = "select count(*) from pg_auth_members m join pg_roles r on r.oid = m.roleid \
                   where r.rolname like '%\\_tenant\\_garage\\_alpha'";
    assert_eq!(number(&there, members).await, 0);
    admin("activate").await.expect(200);
    app.until("it is served there", || async { list().await.status == 200 })
        .await;
    sound(&app.test).await;
}
