//! Files and rows come and go together.

use std::time::{Duration, SystemTime};

use helixai::domain::ids::{MessageId, PhotoId, TenantId};
use helixai::storage::{Folder, Store as _, TenantFile};
use serde_json::Value;

use super::{add, garage, items, texts, vehicle};
use crate::helpers::{TestApp, TestTenant, pictures};

/// Older than any request.
const OLD: Duration = Duration::from_secs(2 * 3600);

pub(super) fn store(app: &TestApp) -> Folder {
    Folder::new(&app.test.settings.storage.folder)
}

fn id_of(tenant: &TestTenant) -> TenantId {
    tenant.id.parse().expect("an id")
}

/// The ids of the photos that have files, in order.
pub(super) async fn stored(app: &TestApp, tenant: &TestTenant) -> Vec<String> {
    let listed = store(app).list(id_of(tenant)).await.expect("a folder");
    let mut ids: Vec<String> = listed
        .iter()
        .map(|stored| match stored.file {
            TenantFile::Photo(photo, _) => photo.to_string(),
            TenantFile::Message(message) => message.to_string(),
        })
        .collect();
    ids.sort();
    ids.dedup();
    ids
}

/// Makes all files of a tenant old.
pub(super) fn age(app: &TestApp, tenant: &TestTenant) {
    let folder = app.test.settings.storage.folder.join(&tenant.id);
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let file = std::fs::File::options()
            .write(true)
            .open(entry.expect("a file").path());
        file.expect("ours")
            .set_modified(SystemTime::now() - OLD)
            .expect("ours");
    }
}

/// What is in the database of photos.
pub(super) async fn rows(app: &TestApp, tenant: &TestTenant) -> Vec<String> {
    let query = format!(
        "select id::text from {}.vehicle_photos order by id",
        tenant.schema
    );
    let rows = app.test.admin().await.query(&query, &[]).await.expect("rows");
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn files_go_with_their_photo_and_with_their_vehicle() {
    let (app, garage, one) = garage("published").await;
    let other = vehicle(&app, &garage, "published").await;
    let (photos, kept) = (
        add(&app, &garage, &one, 3).await,
        add(&app, &garage, &other, 1).await,
    );
    let (photos, kept) = (texts(&photos, "id"), texts(&kept, "id"));
    assert_eq!(stored(&app, &garage).await.len(), 4);
    app.delete(&format!("{one}/photos/{}", photos[1]))
        .by(&garage)
        .await
        .expect(204);
    app.get(&format!("/photos/{}", photos[1]))
        .of(&garage)
        .await
        .problem(404, "not_found");
    app.delete(&format!("{one}/photos/{}", photos[1]))
        .by(&garage)
        .await
        .problem(404, "not_found");
    // Of another vehicle, by the wrong path.
    app.delete(&format!("{one}/photos/{}", kept[0]))
        .by(&garage)
        .await
        .problem(404, "not_found");
    assert_eq!(stored(&app, &garage).await.len(), 3);
    app.delete(&one).by(&garage).await.expect(204);
    assert_eq!(stored(&app, &garage).await, kept);
    assert_eq!(rows(&app, &garage).await, kept);
    let folder = app.test.settings.storage.folder.join(&garage.id);
    assert_eq!(
        std::fs::read_dir(folder).unwrap().count(),
        2,
        "a picture and its thumbnail"
    );
    let audit = format!(
        "select action from {}.audit_log where action ~ '^photos' order by id",
        garage.schema
    );
    let actions = app.test.admin().await.query(&audit, &[]).await.unwrap();
    let actions: Vec<&str> = actions.iter().map(|row| row.get(0)).collect();
    assert_eq!(actions, ["photos.add", "photos.add", "photos.delete"]);
}

#[tokio::test]
async fn a_repeated_upload_is_one_upload() {
    let (app, garage, vehicle) = garage("draft").await;
    let (path, photo) = (format!("{vehicle}/photos"), pictures::photo());
    let other = pictures::file(&pictures::two_coloured(30, 30), image::ImageFormat::Png);
    let upload = |files: &[&[u8]]| app.post(&path).by(&garage).idempotency_key("first").photos(files);
    let first = upload(&[&photo]).await.expect(201).json();
    let second = upload(&[&photo]).await.expect(201).json();
    assert_eq!(first, second);
    upload(&[&other]).await.problem(422, "idempotency_key_reused");
    upload(&[&photo, &photo])
        .await
        .problem(422, "idempotency_key_reused");
    assert_eq!(stored(&app, &garage).await, texts(&items(&first), "id"));
    assert_eq!(rows(&app, &garage).await.len(), 1);
}

#[tokio::test]
async fn there_is_room_for_so_many() {
    let (app, garage, vehicle) = garage("draft").await;
    for _ in 0..2 {
        add(&app, &garage, &vehicle, 10).await;
    }
    let (path, photo) = (format!("{vehicle}/photos"), pictures::photo());
    // Of many at once only those that there is room for.
    let files = vec![photo.as_slice(); 4];
    let calls = (0..4).map(|_| app.post(&path).by(&garage).photos(&files).into_future());
    let answers = futures_util::future::join_all(calls).await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 2, "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        refused.problem(409, "too_many_photos");
    }
    assert_eq!(rows(&app, &garage).await.len(), 28);
    assert_eq!(stored(&app, &garage).await, rows(&app, &garage).await);
    add(&app, &garage, &vehicle, 2).await;
    app.post(&path)
        .by(&garage)
        .photos(&[&photo])
        .await
        .problem(409, "too_many_photos");
    let read = app.get(&vehicle).by(&garage).await.expect(200).json();
    assert_eq!(read["photos"].as_array().map(Vec::len), Some(30));
}

#[tokio::test]
async fn the_sweeper_removes_what_nothing_names_and_nothing_else() {
    let (app, garage, vehicle) = garage("draft").await;
    let two = app.onboard("garage-two", "cars").await;
    let named = texts(&add(&app, &garage, &vehicle, 2).await, "id");
    let (store, sweeper) = (store(&app), app.test.platform.sweeper());
    let (lost, young, elsewhere) = (PhotoId::new(), PhotoId::new(), PhotoId::new());
    let put = async |tenant: TenantId, photo: PhotoId| {
        let [full, _] = TenantFile::of_photo(photo);
        store.put(tenant, full, b"x".to_vec()).await.unwrap();
    };
    // Of nobody, and of a tenant whose schema may not be asked: nobody knows whether they are needed.
    let nobody = TenantId::new();
    put(nobody, lost).await;
    put(id_of(&two), elsewhere).await;
    put(id_of(&garage), lost).await;
    age(&app, &garage);
    age(&app, &two);
    put(id_of(&garage), young).await;
    let suspend = app
        .post("/api/admin/tenants/garage-two/suspend")
        .bearer(&app.admin.token);
    suspend.await.expect(200);

    assert_eq!(sweeper.sweep().await.unwrap(), 1);
    let mut left = named.clone();
    left.push(young.to_string());
    left.sort();
    assert_eq!(stored(&app, &garage).await, left);
    assert_eq!(stored(&app, &two).await, [elsewhere.to_string()]);
    assert_eq!(store.list(nobody).await.unwrap().len(), 1);
    assert_eq!(sweeper.sweep().await.unwrap(), 0);

    let activate = app
        .post("/api/admin/tenants/garage-two/activate")
        .bearer(&app.admin.token);
    activate.await.expect(200);
    assert_eq!(sweeper.sweep().await.unwrap(), 1);
    assert_eq!(stored(&app, &two).await, [""; 0]);
    // What is named is still shown.
    app.get(&format!("/photos/{}", named[0]))
        .by(&garage)
        .await
        .expect(200);
}

/// More photos than are asked for at once: a part of them without an orphan does not end the sweep.
#[tokio::test]
async fn the_sweeper_looks_through_all_photos_however_many() {
    let (app, garage, vehicle) = garage("draft").await;
    let vehicle = vehicle.rsplit_once('/').expect("a path").1;
    let admin = app.test.admin().await;
    let fill = format!(
        "insert into {}.vehicle_photos (id, vehicle_id, position, url, created_at)
         select gen_random_uuid(), '{vehicle}', n, '/photos/x', now() from generate_series(0, 3999) n",
        garage.schema
    );
    admin.batch_execute(&fill).await.expect("filled");
    let folder = app.test.settings.storage.folder.join(&garage.id);
    std::fs::create_dir_all(&folder).expect("ours");
    for photo in rows(&app, &garage).await {
        std::fs::write(folder.join(format!("{photo}.jpg")), "x").expect("ours");
    }
    // In which part it is, is chance.
    for _ in 0..5 {
        std::fs::write(folder.join(format!("{}.jpg", PhotoId::new())), "x").expect("ours");
        age(&app, &garage);
        assert_eq!(app.test.platform.sweeper().sweep().await.unwrap(), 1);
    }
    assert_eq!(stored(&app, &garage).await.len(), 4000);
}

/// What came along with a message is swept as a photo is: what is kept or awaited stays, and the rest goes.
#[tokio::test]
async fn the_sweeper_removes_what_no_message_names() {
    let (app, garage, _) = garage("draft").await;
    let (kept, awaited, refused, nobody) = (
        MessageId::new(),
        MessageId::new(),
        MessageId::new(),
        MessageId::new(),
    );
    let fill = format!(
        "set search_path = {};
         insert into contacts (id, created_at, updated_at) values ('{kept}', now(), now());
         insert into conversations (id, contact_id, channel, status, last_message_at, created_at, updated_at)
         values ('{kept}', '{kept}', 'telegram', 'open', now(), now(), now());
         insert into messages (id, conversation_id, direction, author, kind, status, created_at, file_state, file_error, file_type,
                               file_bytes, file_due_at)
         values ('{kept}', '{kept}', 'inbound', 'contact', 'image', 'received', now(), 'stored', null, 'image/png', 1, null),
                ('{awaited}', '{kept}', 'inbound', 'contact', 'image', 'received', now(), 'pending', null, null, null, now()),
                ('{refused}', '{kept}', 'inbound', 'contact', 'image', 'received', now(), 'failed', 'gone', null, null, null);
         reset search_path",
        garage.schema
    );
    app.test.admin().await.batch_execute(&fill).await.expect("filled");
    for message in [kept, awaited, refused, nobody] {
        let file = TenantFile::Message(message);
        store(&app)
            .put(id_of(&garage), file, b"x".to_vec())
            .await
            .unwrap();
    }
    let sweeper = app.test.platform.sweeper();
    assert_eq!(sweeper.sweep().await.unwrap(), 0, "they are young");
    age(&app, &garage);
    assert_eq!(sweeper.sweep().await.unwrap(), 2);
    assert_eq!(
        stored(&app, &garage).await,
        [kept.to_string(), awaited.to_string()]
    );
}

/// A restore writes its files before its rows: until it has ended, nobody knows which of them are named.
#[tokio::test]
async fn the_sweeper_waits_for_a_restore() {
    let (app, garage, _) = garage("draft").await;
    let (store, sweeper) = (store(&app), app.test.platform.sweeper());
    let coming = PhotoId::new();
    let [full, _] = TenantFile::of_photo(coming);
    store.put(id_of(&garage), full, b"x".to_vec()).await.unwrap();
    age(&app, &garage);
    let admin = app.test.admin().await;
    admin
        .execute(
            "insert into master.tenant_restores (id, tenant_id, mode, outcome, lease_expires_at, created_at)
             values (gen_random_uuid(), $1, 'over', '{}', now() + interval '1 hour', now())",
            &[&id_of(&garage).as_uuid()],
        )
        .await
        .expect("noted");
    assert_eq!(sweeper.sweep().await.unwrap(), 0);
    assert_eq!(stored(&app, &garage).await, [coming.to_string()]);
    admin
        .batch_execute("delete from master.tenant_restores")
        .await
        .expect("done");
    assert_eq!(sweeper.sweep().await.unwrap(), 1);
}

#[tokio::test]
async fn the_demands_of_one_tenant_leave_room_for_another() {
    let app = TestApp::builder().set("storage.photo_workers", 2).start().await;
    let (one, two) = (
        app.onboard("garage-one", "cars").await,
        app.onboard("garage-two", "cars").await,
    );
    let (first, second) = (
        vehicle(&app, &one, "draft").await,
        vehicle(&app, &two, "draft").await,
    );
    let large = pictures::file(&pictures::two_coloured(900, 600), image::ImageFormat::Jpeg);
    let path = format!("{first}/photos");
    let many = (0..8).map(|_| app.post(&path).by(&one).photos(&[&large]).into_future());
    let few = app
        .post(&format!("{second}/photos"))
        .by(&two)
        .photos(&[&large])
        .into_future();
    let (many, few) = tokio::join!(futures_util::future::join_all(many), few);
    few.expect(201);
    assert!(many.iter().all(|answer| answer.status == 201), "{many:?}");
    let read: Value = app.get(&first).by(&one).await.expect(200).json();
    assert_eq!(read["photos"].as_array().map(Vec::len), Some(8));
}
