//! `/api/export`: an owner takes all data along.

use std::io::{Cursor, Read as _};

use serde_json::json;

use crate::helpers::TestApp;

#[tokio::test]
async fn an_owner_takes_all_data_along_and_nobody_else() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage", "cars").await;
    let other = app.onboard("other", "cars").await;
    for (tenant, name) in [(&garage, "Ana Lima"), (&other, "Bruno Souza")] {
        let lead = json!({ "name": name });
        app.post("/api/leads").by(tenant).json(&lead).await.expect(201);
    }
    let export = || app.get("/api/export").of(&garage);
    let owner = app.log_in(&garage).await;
    for role in ["manager", "agent"] {
        let user = app.add_user(&garage, role).await;
        let token = app.session_of(&garage, user).await;
        export().bearer(&token).await.problem(403, "insufficient_rights");
    }
    export().await.problem(401, "unauthorized");
    app.get("/api/export").of(&other).bearer(&owner).await.expect(401);

    let answer = export().bearer(&owner).await;
    answer.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/zip"));
    assert_eq!(
        answer.header("content-disposition"),
        Some("attachment; filename=\"garage.zip\"")
    );
    let mut zip = zip::ZipArchive::new(Cursor::new(answer.body.to_vec())).expect("a whole zip");
    let mut leads = String::new();
    zip.by_name("csv/leads.csv")
        .expect("leads")
        .read_to_string(&mut leads)
        .expect("UTF-8");
    assert!(leads.contains("Ana Lima") && !leads.contains("Bruno"), "{leads}");
    let noted = app
        .test
        .admin()
        .await
        .query_one(
            &format!(
                "select count(*) from {}.audit_log where action = 'tenant.export' and actor_kind = 'user'",
                garage.schema
            ),
            &[],
        )
        .await
        .expect("the audit");
    assert_eq!(noted.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn one_at_a_time_and_also_when_the_subscription_is_over() {
    let app = TestApp::builder()
        .set("database.wait_timeout_secs", 1)
        .start()
        .await;
    let garage = app.onboard("garage", "cars").await;
    let owner = app.log_in(&garage).await;
    let export = || app.get("/api/export").of(&garage).bearer(&owner);
    let admin = app.test.admin().await;
    admin
        .batch_execute("update master.subscriptions set status = 'canceled', canceled_at = now()")
        .await
        .expect("canceled");
    app.until("the end of the subscription is known", || async {
        app.get("/api/leads").by(&garage).await.status == 403
    })
    .await;
    export().await.expect(200);

    let turn = app
        .test
        .platform
        .exports
        .turn(garage.id.parse().expect("an id"))
        .await
        .expect("a turn");
    export().await.problem(429, "too_many_at_once");
    drop(turn);
    export().await.expect(200);
}
