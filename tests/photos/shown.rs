//! The way of a photo from a camera to the storefront.

use image::{DynamicImage, GenericImageView as _, ImageFormat};
use serde_json::json;

use super::{add, garage, items, texts, vehicle};
use crate::helpers::pictures::{file, photo, two_coloured};
use crate::helpers::{Answer, TestApp};

fn picture(answer: &Answer) -> DynamicImage {
    assert_eq!(answer.expect(200).header("content-type"), Some("image/jpeg"));
    image::load_from_memory_with_format(&answer.body, ImageFormat::Jpeg).expect("a JPEG")
}

/// A JPEG whose metadata says that it lies on its side, and where it was taken.
fn from_a_phone(width: u32, height: u32) -> Vec<u8> {
    let jpeg = file(&two_coloured(width, height), ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01".to_vec();
    exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 6, 0, 0, 0, 0, 0, 0]);
    exif.extend(b"GPS-23.5505-46.6333");
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    [&jpeg[..2], &[0xff, 0xe1], &length, &exif, &jpeg[2..]].concat()
}

fn holds(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

#[tokio::test]
async fn a_photo_is_upright_small_enough_and_tells_nothing_else() {
    let (app, garage, vehicle) = garage("published").await;
    let sent = from_a_phone(2400, 1200);
    assert!(holds(&sent, b"GPS-23"));
    let call = app
        .post(&format!("{vehicle}/photos"))
        .by(&garage)
        .photos(&[&sent]);
    let photos = items(&call.await.expect(201).json());
    let url = photos[0]["url"].as_str().expect("a path").to_owned();
    assert_eq!(photos[0]["thumbnail_url"], json!(format!("{url}/thumbnail")));
    assert_eq!(photos[0]["content_type"], "image/jpeg");
    for (path, size) in [
        (url.clone(), (800, 1600)),
        (format!("{url}/thumbnail"), (200, 400)),
    ] {
        let answer = app.get(&path).of(&garage).await;
        let shown = picture(&answer);
        assert_eq!(shown.dimensions(), size);
        // Turned to the right, the left side is at the top.
        let (top, bottom) = (
            shown.get_pixel(size.0 / 2, size.1 / 4),
            shown.get_pixel(size.0 / 2, size.1 * 3 / 4),
        );
        assert!(top[0] > 150 && top[2] < 100, "{top:?}");
        assert!(bottom[2] > 150 && bottom[0] < 100, "{bottom:?}");
        assert!(!holds(&answer.body, b"GPS") && !holds(&answer.body, b"Exif"));
    }
    // The storefront shows them where it shows the vehicle.
    let shown = app.get("/veiculos").of(&garage).await.expect(200).json();
    assert_eq!(shown["veiculos"][0]["photos"], json!(photos));
    assert_eq!(
        app.get(&vehicle).by(&garage).await.expect(200).json()["photos"],
        json!(photos)
    );
}

#[tokio::test]
async fn every_format_is_taken_whatever_it_is_called_and_kept_in_its_order() {
    let (app, garage, vehicle) = garage("published").await;
    let path = format!("{vehicle}/photos");
    let small = two_coloured(40, 30);
    let clear = DynamicImage::ImageRgba8(image::RgbaImage::from_pixel(40, 30, image::Rgba([0, 0, 0, 0])));
    let files = [
        file(&small, ImageFormat::Jpeg),
        file(&small, ImageFormat::Png),
        file(&small, ImageFormat::WebP),
        file(&clear, ImageFormat::Png),
        file(
            &DynamicImage::ImageLuma16(image::ImageBuffer::from_pixel(7, 900, image::Luma([9]))),
            ImageFormat::Png,
        ),
        // What else is in the file is not a picture, and does not come back.
        [photo(), b"<script>alert(1)</script>".to_vec()].concat(),
    ];
    let sent: Vec<&[u8]> = files.iter().map(Vec::as_slice).collect();
    let photos = items(&app.post(&path).by(&garage).photos(&sent).await.expect(201).json());
    assert_eq!(photos.len(), files.len());
    let mut sizes = Vec::new();
    for url in texts(&photos, "url") {
        let answer = app.get(&url).of(&garage).await;
        sizes.push(picture(&answer).dimensions());
        assert!(!holds(&answer.body, b"script"));
    }
    assert_eq!(
        sizes,
        [(40, 30), (40, 30), (40, 30), (40, 30), (7, 900), (64, 48)]
    );
    // JPEG knows no transparency: what can be seen through is white.
    let on_white = picture(&app.get(photos[3]["url"].as_str().unwrap()).of(&garage).await);
    assert!(on_white.get_pixel(20, 15).0[..3].iter().all(|part| *part > 250));
    // More come behind.
    let more = add(&app, &garage, &vehicle, 2).await;
    assert_eq!(more.len(), files.len() + 2);
    assert_eq!(more[..files.len()], photos);

    let mut order = texts(&more, "id");
    order.reverse();
    let arranged = app.put(&path).by(&garage).json(&json!({"photos": order})).await;
    assert_eq!(texts(&items(&arranged.expect(200).json()), "id"), order);
    let read = app.get(&vehicle).by(&garage).await.expect(200).json();
    assert_eq!(texts(read["photos"].as_array().unwrap(), "id"), order);
}

#[tokio::test]
async fn an_order_names_every_photo_once() {
    let (app, garage, one) = garage("draft").await;
    let other = vehicle(&app, &garage, "draft").await;
    let photos = texts(&add(&app, &garage, &one, 3).await, "id");
    let foreign = texts(&add(&app, &garage, &other, 1).await, "id");
    let path = format!("{one}/photos");
    let put = |order: serde_json::Value| app.put(&path).by(&garage).json(&json!({ "photos": order }));
    put(json!(photos[..2])).await.problem(409, "photos_changed");
    put(json!([photos[0], photos[1], foreign[0]]))
        .await
        .problem(409, "photos_changed");
    put(json!([])).await.problem(409, "photos_changed");
    put(json!([photos[0], photos[1], photos[1]]))
        .await
        .refused_fields(&[("photos[2]", "repeated")]);
    put(json!(["x"]))
        .await
        .refused_fields(&[("photos[0]", "invalid_format")]);
    put(json!([photos[2], photos[0], photos[1]])).await.expect(200);
    let nothing = app.put(&format!("{}/photos", vehicle(&app, &garage, "draft").await));
    let nothing = nothing.by(&garage).json(&json!({"photos": []})).await;
    assert_eq!(nothing.expect(200).json(), json!({"items": []}));
}

#[tokio::test]
async fn a_browser_keeps_what_is_in_the_storefront_for_a_while() {
    let (app, garage, vehicle) = garage("published").await;
    let url = texts(&add(&app, &garage, &vehicle, 1).await, "url").remove(0);
    let first = app.get(&url).of(&garage).await;
    assert_eq!(
        first.expect(200).header("cache-control"),
        Some("public, max-age=300")
    );
    assert_eq!(first.header("x-content-type-options"), Some("nosniff"));
    let tag = first.header("etag").expect("a tag").to_owned();
    let mut vary = first.headers.get_all("vary").iter();
    assert!(vary.any(|value| value.to_str().unwrap().eq_ignore_ascii_case("x-tenant-key")));
    let again = app.get(&url).of(&garage).header("if-none-match", &tag).await;
    assert!(again.expect(304).body.is_empty());
    let thumbnail = app.get(&format!("{url}/thumbnail")).of(&garage);
    thumbnail.header("if-none-match", &tag).await.expect(200);
    let head = app.call(reqwest::Method::HEAD, &url).of(&garage).await;
    assert_eq!(
        head.expect(200).header("content-length"),
        Some(first.body.len().to_string().as_str())
    );
    // What has left the storefront is not the same any more to whoever asks again.
    let withdraw = app.patch(&vehicle).by(&garage).json(&json!({"status": "draft"}));
    withdraw.await.expect(200);
    let again = app.get(&url).of(&garage).header("if-none-match", &tag);
    again.await.problem(404, "not_found");
}

#[tokio::test]
async fn what_is_not_in_the_storefront_is_for_who_may_read() {
    let (app, garage, vehicle) = garage("draft").await;
    let url = texts(&add(&app, &garage, &vehicle, 1).await, "url").remove(0);
    app.get(&url).of(&garage).await.problem(404, "not_found");
    app.get(&url)
        .of(&garage)
        .bearer("hxk_nonsense")
        .await
        .problem(404, "not_found");
    let write_only = app.add_api_key(&garage, &["write"]).await;
    app.get(&url)
        .of(&garage)
        .bearer(&write_only)
        .await
        .problem(404, "not_found");
    let shown = app.get(&url).by(&garage).await;
    assert_eq!(
        shown.expect(200).header("cache-control"),
        Some("private, no-cache")
    );
    let session = app.log_in(&garage).await;
    app.get(&url).of(&garage).cookie(&session).await.expect(200);

    let publish = app
        .patch(&vehicle)
        .by(&garage)
        .json(&json!({"status": "published"}));
    publish.await.expect(200);
    // Credentials that have run out do not hide what anybody may see.
    app.get(&url).of(&garage).cookie("hxs_gone").await.expect(200);
}

#[tokio::test]
async fn a_photo_is_nowhere_but_at_its_tenant() {
    let app = TestApp::start().await;
    let (one, two) = (
        app.onboard("garage-one", "cars").await,
        app.onboard("garage-two", "cars").await,
    );
    let estate = app.onboard("imob-three", "real_estate").await;
    let path = vehicle(&app, &one, "published").await;
    let photo = add(&app, &one, &path, 1).await.remove(0);
    let (url, id) = (photo["url"].as_str().unwrap(), photo["id"].as_str().unwrap());
    for path in [url.to_owned(), format!("{url}/thumbnail")] {
        app.get(&path).of(&one).await.expect(200);
        app.get(&path).key_header(&one).await.expect(200);
        for other in [&two, &estate] {
            app.get(&path).of(other).await.problem(404, "not_found");
            app.get(&path).by(other).await.problem(404, "not_found");
            app.get(&path).key_header(other).await.problem(404, "not_found");
        }
        app.get(&path).await.problem(404, "tenant_not_named");
    }
    let own = vehicle(&app, &two, "published").await;
    for item in [&own, &path] {
        app.delete(&format!("{item}/photos/{id}"))
            .by(&two)
            .await
            .problem(404, "not_found");
    }
    let files = super::files::stored(&app, &one).await;
    assert_eq!(files, [id]);
    for strange in ["..", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "x.jpg", "%00"] {
        app.get(&format!("/photos/{strange}"))
            .of(&one)
            .await
            .problem(404, "not_found");
    }
}

#[tokio::test]
async fn properties_have_photos_too() {
    let app = TestApp::start().await;
    let estate = app.onboard("imob-beta", "real_estate").await;
    let body = json!({"title": "Casa", "purpose": "sale", "kind": "house", "status": "published"});
    let made = app
        .post("/api/properties")
        .by(&estate)
        .json(&body)
        .await
        .expect(201)
        .json();
    let path = format!("/api/properties/{}", made["id"].as_str().unwrap());
    let photos = add(&app, &estate, &path, 2).await;
    for url in texts(&photos, "url") {
        app.get(&url).of(&estate).await.expect(200);
    }
    let shown = app.get("/imoveis").of(&estate).await.expect(200).json();
    assert_eq!(shown["imoveis"][0]["photos"], json!(photos));
    let ids = texts(&photos, "id");
    app.delete(&format!("{path}/photos/{}", ids[0]))
        .by(&estate)
        .await
        .expect(204);
    app.get(&path).by(&estate).await.expect(200);
    assert_eq!(super::files::stored(&app, &estate).await, ids[1..]);
    app.delete(&path).by(&estate).await.expect(204);
    assert_eq!(super::files::stored(&app, &estate).await, [""; 0]);
    // A garage's routes are not an estate agent's.
    let foreign = path.replace("properties", "vehicles");
    app.post(&format!("{foreign}/photos"))
        .by(&estate)
        .await
        .problem(404, "not_found");
}

#[tokio::test]
async fn products_have_photos_too() {
    let app = TestApp::start().await;
    let shop = app.onboard("padaria", "general").await;
    let body = json!({"title": "Café", "status": "published"});
    let made = app
        .post("/api/products")
        .by(&shop)
        .json(&body)
        .await
        .expect(201)
        .json();
    let path = format!("/api/products/{}", made["id"].as_str().unwrap());
    let photos = add(&app, &shop, &path, 2).await;
    for url in texts(&photos, "url") {
        app.get(&url).of(&shop).await.expect(200);
    }
    let shown = app.get(&path).by(&shop).await.expect(200).json();
    assert_eq!(shown["photos"], json!(photos));
    let ids = texts(&photos, "id");
    let removed = app.delete(&format!("{path}/photos/{}", ids[0])).by(&shop);
    removed.await.expect(204);
    assert_eq!(super::files::stored(&app, &shop).await, ids[1..]);
    app.delete(&path).by(&shop).await.expect(204);
    assert_eq!(super::files::stored(&app, &shop).await, [""; 0]);
}
