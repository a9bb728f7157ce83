//! What a tenant takes is measured, and its plan says how much that may be.

use helixai::domain::ids::TenantId;
use serde_json::{Value, json};

use crate::helpers::{TestApp, TestTenant, pictures};

/// `(schema, files)`, as the registry has them.
async fn taken(app: &TestApp, tenant: &TestTenant) -> (i64, i64) {
    let id: TenantId = tenant.id.parse().expect("an id");
    let row = app
        .test
        .admin()
        .await
        .query_one(
            "select schema_bytes, file_bytes from master.tenant_storage where tenant_id = $1",
            &[&id.as_uuid()],
        )
        .await
        .expect("it was measured");
    (row.get(0), row.get(1))
}

/// Another plan, with everything as before but for the storage.
async fn include(app: &TestApp, tenant: &TestTenant, bytes: Option<i64>) {
    let id: TenantId = tenant.id.parse().expect("an id");
    let admin = app.test.admin().await;
    let (version, code) = (
        uuid::Uuid::now_v7(),
        format!("p{}", uuid::Uuid::now_v7().simple()),
    );
    admin
        .execute(
            "with plan as (insert into master.plans (id, code, name, status, created_at, updated_at)
                           values (gen_random_uuid(), $2, 'Test', 'active', now(), now()) returning id)
             insert into master.plan_versions (id, plan_id, version, price_cents, currency, trial_days, created_at)
             select $1, id, 1, 0, 'BRL', 0, now() from plan",
            &[&version, &code],
        )
        .await
        .expect("a plan");
    admin
        .execute(
            "insert into master.plan_limits (plan_version_id, meter, limit_value)
             select $1, l.meter, case l.meter when 'storage_bytes' then $2 else l.limit_value end
             from master.plan_limits l join master.subscriptions s on s.plan_version_id = l.plan_version_id
             where s.tenant_id = $3",
            &[&version, &bytes, &id.as_uuid()],
        )
        .await
        .expect("its limits");
    admin
        .execute(
            "update master.subscriptions set plan_version_id = $1, updated_at = now() where tenant_id = $2",
            &[&version, &id.as_uuid()],
        )
        .await
        .expect("bought");
}

async fn measure(app: &TestApp) -> usize {
    app.test
        .platform
        .storage_meter()
        .measure()
        .await
        .expect("measured")
}

fn lead(name: &str) -> Value {
    json!({"name": name})
}

#[tokio::test]
async fn schemas_and_files_are_measured() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let estate = app.onboard("imob-beta", "real_estate").await;
    assert_eq!(measure(&app).await, 2);
    let (empty, files) = taken(&app, &garage).await;
    assert!((100_000..5_000_000).contains(&empty), "{empty}");
    assert_eq!(files, 0);

    let vehicle = json!({"title": "Uno", "make": "Fiat", "model": "Uno"});
    let made = app.post("/api/vehicles").by(&garage).json(&vehicle).await;
    let made = made.expect(201).json();
    let path = format!("/api/vehicles/{}/photos", made["id"].as_str().unwrap());
    let photo = pictures::photo();
    app.post(&path).by(&garage).photos(&[&photo]).await.expect(201);
    let fill = format!(
        "insert into {}.leads (id, name, stage, notes, created_at, updated_at)
         select gen_random_uuid(), 'Ana', 'new', repeat(md5(n::text), 30), now(), now() from generate_series(1, 3000) n",
        garage.schema
    );
    let other = taken(&app, &estate).await;
    app.test.admin().await.batch_execute(&fill).await.expect("filled");
    assert_eq!(measure(&app).await, 2);
    let (full, files) = taken(&app, &garage).await;
    assert!(full > empty + 2_000_000, "{empty} and then {full}");
    let folder = app.test.settings.storage.folder.join(&garage.id);
    let on_disk: u64 = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("a file").metadata().expect("its size").len())
        .sum();
    assert_eq!(u64::try_from(files), Ok(on_disk));
    assert_eq!(taken(&app, &estate).await, other, "another's rows are another's");

    let usage = app.get("/api/usage").by(&garage).await.expect(200).json();
    assert_eq!(
        usage["meters"][2],
        json!({"meter": "storage_bytes", "limit": 1_073_741_824, "used": full + files, "reserved": 0})
    );
}

#[tokio::test]
async fn at_the_end_of_the_storage_nothing_is_created_and_everything_can_be_removed() {
    let app = TestApp::start().await;
    let second = app.second_process().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let other = app.onboard("garage-beta", "cars").await;
    let vehicle = json!({"title": "Uno", "make": "Fiat", "model": "Uno"});
    let made = app.post("/api/vehicles").by(&garage).json(&vehicle).await;
    let made = made.expect(201).json();
    let vehicle = format!("/api/vehicles/{}", made["id"].as_str().unwrap());
    let photo = pictures::photo();
    let upload = || app.post(&format!("{vehicle}/photos")).by(&garage);
    upload().photos(&[&photo]).await.expect(201);
    let repeated = || {
        let call = app.post("/api/leads").by(&garage).idempotency_key("once");
        call.json(&lead("Bia"))
    };
    let first = repeated().await.expect(201).json();

    // What has not been measured is not over anything.
    include(&app, &garage, Some(1000)).await;
    measure(&app).await;
    for address in [app.address, second] {
        app.until("the end is known", || async {
            let made = app
                .post("/api/leads")
                .at(address)
                .by(&garage)
                .json(&lead("Ana"))
                .await;
            made.status == 402
        })
        .await;
    }
    let (schema, files) = taken(&app, &garage).await;
    let refused = app.post("/api/leads").by(&garage).json(&lead("Ana")).await;
    let problem = refused.problem(402, "limit_exceeded");
    assert_eq!(
        (&problem["limit"], &problem["used"], &problem["reserved"]),
        (&json!(1000), &json!(schema + files), &json!(0))
    );
    assert_eq!(problem["plan"], "starter");
    let keyed = app.post("/api/leads").by(&garage).idempotency_key("new");
    keyed.json(&lead("Ana")).await.problem(402, "limit_exceeded");
    upload().photos(&[&photo]).await.problem(402, "limit_exceeded");
    upload()
        .idempotency_key("new")
        .photos(&[&photo])
        .await
        .problem(402, "limit_exceeded");
    // Strangers are told nothing of it, and neighbours are not concerned.
    let stranger = app.post("/api/leads").of(&garage).json(&lead("Ana"));
    stranger.await.problem(401, "unauthorized");
    app.post("/api/leads")
        .by(&other)
        .json(&lead("Ana"))
        .await
        .expect(201);
    // What was answered before is answered again; what is there is read, changed and removed.
    assert_eq!(repeated().await.expect(201).json(), first);
    let path = format!("/api/leads/{}", first["id"].as_str().unwrap());
    app.get(&path).by(&garage).await.expect(200);
    app.patch(&path)
        .by(&garage)
        .json(&json!({"notes": "called"}))
        .await
        .expect(200);
    app.delete(&path).by(&garage).await.expect(204);
    app.delete(&vehicle).by(&garage).await.expect(204);
    measure(&app).await;
    let (smaller, files) = taken(&app, &garage).await;
    assert_eq!(files, 0, "they went with the vehicle");

    // A plan with room for it counts at once; so does a measurement that is below the plan again.
    include(&app, &garage, Some(smaller + 1)).await;
    for address in [app.address, second] {
        app.until("there is room", || async {
            let made = app
                .post("/api/leads")
                .at(address)
                .by(&garage)
                .json(&lead("Ana"))
                .await;
            made.status == 201
        })
        .await;
    }
}

#[tokio::test]
async fn files_that_cannot_be_measured_take_what_they_took() {
    let app = TestApp::start().await;
    let garage = app.onboard("garage-alpha", "cars").await;
    let other = app.onboard("garage-beta", "cars").await;
    let folder = app.test.settings.storage.folder.join(&garage.id);
    std::fs::create_dir_all(&folder).expect("ours");
    std::fs::write(folder.join("x.jpg"), [0; 1000]).expect("ours");
    assert_eq!(measure(&app).await, 2);
    let before = taken(&app, &garage).await;
    assert_eq!(before.1, 1000);
    // No folder any more, and not nothing either.
    std::fs::remove_dir_all(&folder).expect("ours");
    std::fs::write(&folder, "x").expect("ours");
    assert_eq!(measure(&app).await, 1, "the other");
    assert_eq!(taken(&app, &garage).await, before);
    assert_eq!(taken(&app, &other).await.1, 0);
}
