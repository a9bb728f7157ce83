//! Files that are no photos, and forms that are none: each is told what is wrong, and nothing is kept.

use image::{DynamicImage, GrayImage, ImageFormat};

use super::{files, garage};
use crate::helpers::pictures::{file, form, photo, two_coloured};
use crate::helpers::send_raw;

/// A JPEG that says to be of another size.
fn pretending(width: u16, height: u16) -> Vec<u8> {
    let mut jpeg = photo();
    let at = jpeg
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .expect("a frame");
    jpeg[at + 5..at + 7].copy_from_slice(&height.to_be_bytes());
    jpeg[at + 7..at + 9].copy_from_slice(&width.to_be_bytes());
    jpeg
}

#[tokio::test]
async fn what_is_no_photo_is_told_so() {
    let (app, garage, vehicle) = garage("draft").await;
    let path = format!("{vehicle}/photos");
    let (png, webp) = (
        file(&two_coloured(300, 200), ImageFormat::Png),
        file(&two_coloured(300, 200), ImageFormat::WebP),
    );
    // 42 million pixels in some kilobytes.
    let bomb = file(
        &DynamicImage::ImageLuma8(GrayImage::new(7000, 6000)),
        ImageFormat::Png,
    );
    assert!(bomb.len() < 1_000_000, "{}", bomb.len());
    let jpeg = photo();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (
            b"<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>".to_vec(),
            "unsupported_format",
        ),
        (b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), "unsupported_format"),
        (b"<!doctype html>".to_vec(), "unsupported_format"),
        (b"\xff".to_vec(), "unsupported_format"),
        (vec![], "required"),
        (b"\xff\xd8\xff".to_vec(), "damaged"),
        (b"\xff\xd8\xff\xe0 this is no picture".to_vec(), "damaged"),
        (jpeg[..jpeg.len() / 2].to_vec(), "damaged"),
        (jpeg[..jpeg.len() - 2].to_vec(), "damaged"),
        (b"\x89PNG\r\n\x1a\n".to_vec(), "damaged"),
        (png[..png.len() / 2].to_vec(), "damaged"),
        (b"RIFF\x04\0\0\0WEBP".to_vec(), "damaged"),
        (webp[..webp.len() / 2].to_vec(), "damaged"),
        (bomb, "too_many_pixels"),
        (pretending(65_000, 65_000), "too_many_pixels"),
        (pretending(0, 0), "damaged"),
    ];
    for (bytes, code) in &cases {
        let answer = app.post(&path).by(&garage).photos(&[bytes]).await;
        let told = answer.problem(422, "invalid_fields");
        assert_eq!(
            (&told["errors"][0]["field"], &told["errors"][0]["code"]),
            (&"photos[0]".into(), &(*code).into()),
            "{told}"
        );
    }
    // One that is none refuses all of them.
    let several = app
        .post(&path)
        .by(&garage)
        .photos(&[&jpeg, b"GIF89a", &png, b"\xff\xd8\xff"])
        .await;
    several.refused_fields(&[("photos[1]", "unsupported_format"), ("photos[3]", "damaged")]);
    assert_eq!(files::stored(&app, &garage).await, [""; 0]);
    assert_eq!(files::rows(&app, &garage).await, [""; 0]);
}

#[tokio::test]
async fn a_form_that_is_none_is_told_so() {
    let (app, garage, vehicle) = garage("draft").await;
    let path = format!("{vehicle}/photos");
    let post = || app.post(&path).by(&garage);
    let photo = photo();
    post().await.problem(415, "unsupported_media_type");
    post().text("{}").await.problem(415, "unsupported_media_type");
    post()
        .bytes("image/jpeg", &photo)
        .await
        .problem(415, "unsupported_media_type");
    let (kind, body) = form(&[("photos", "a.jpg", &photo)]);
    post()
        .bytes(&kind.replace("form-data", "mixed"), &body)
        .await
        .problem(415, "unsupported_media_type");
    post()
        .bytes("multipart/form-data", &body)
        .await
        .problem(400, "malformed_multipart");
    post()
        .bytes("multipart/form-data; boundary=other", &body)
        .await
        .problem(400, "body_incomplete");
    post().bytes(&kind, b"").await.problem(400, "body_incomplete");
    post()
        .bytes(&kind, &body[..body.len() / 2])
        .await
        .problem(400, "body_incomplete");
    let no_name = String::from_utf8_lossy(&body[..100]).replace("form-data; ", "attachment; ");
    post()
        .bytes(&kind, &[no_name.as_bytes(), &body[100..]].concat())
        .await
        .problem(400, "malformed_multipart");

    let fields = |fields: &[(&str, &str, &[u8])]| {
        let (kind, body) = form(fields);
        post().bytes(&kind, &body)
    };
    fields(&[]).await.refused_fields(&[("photos", "required")]);
    fields(&[("picture", "a.jpg", &photo)])
        .await
        .refused_fields(&[("picture", "unknown_field"), ("photos", "required")]);
    fields(&[("photos", "../../etc/passwd", &photo), ("\\..\\x", "a", b"")])
        .await
        .problem(422, "invalid_fields");
    let eleven = vec![("photos", "a.jpg", photo.as_slice()); 11];
    fields(&eleven).await.refused_fields(&[("photos", "too_many")]);
    let many = vec![("picture", "a.jpg", &b"1"[..]); 300];
    let told = fields(&many).await.problem(422, "invalid_fields");
    assert_eq!(told["errors"].as_array().map(Vec::len), Some(100));
    let long = "x".repeat(5000);
    let told = fields(&[(&long, "a", b"1"), ("photos", "a", &photo)])
        .await
        .problem(422, "invalid_fields");
    assert_eq!(told["errors"][0]["field"].as_str().map(str::len), Some(100));
    assert_eq!(files::stored(&app, &garage).await, [""; 0]);
    // The name of a file is nothing to anybody.
    fields(&[("photos", "../../etc/passwd.svg", &photo)])
        .await
        .expect(201);
    assert_eq!(files::stored(&app, &garage).await.len(), 1);
}

#[tokio::test]
async fn a_stranger_is_not_told_what_is_wrong_with_an_order() {
    let (app, garage, vehicle) = garage("draft").await;
    let path = format!("{vehicle}/photos");
    for body in [
        r#"{"photos": ["x"]}"#,
        r#"{"photos": []}"#,
        r#"{"photo": 1}"#,
        "{",
    ] {
        let nobody = app.put(&path).of(&garage).text(body).await;
        nobody.problem(401, "unauthorized");
    }
}

#[tokio::test]
async fn an_upload_has_a_limit_of_its_own() {
    let (app, garage, vehicle) = garage("draft").await;
    let path = format!("{vehicle}/photos");
    let limit = app.test.settings.storage.upload_limit_bytes;
    assert!(limit > app.test.settings.server.body_limit_bytes);
    // Larger than other bodies may be: what follows the end of a JPEG does no harm.
    let padded = |length: usize| [photo(), vec![0; length - photo().len()]].concat();
    app.post(&path)
        .by(&garage)
        .photos(&[&padded(limit - 1000)])
        .await
        .expect(201);
    app.post(&path)
        .by(&garage)
        .photos(&[&padded(limit)])
        .await
        .problem(413, "body_too_large");
    // Without saying how much will come.
    let (kind, body) = form(&[("photos", "a.jpg", &padded(limit))]);
    let mut request = format!(
        "POST {path}/photos HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: {kind}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        garage.host(),
        garage.api_key
    )
    .replace("/photos/photos", "/photos")
    .into_bytes();
    for chunk in body.chunks(1 << 16) {
        request.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    send_raw(app.address, &request)
        .await
        .problem(413, "body_too_large");
    assert_eq!(files::stored(&app, &garage).await.len(), 1);
}
