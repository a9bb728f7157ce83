//! Pictures made for a test, and the form in which a browser sends them.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use super::call::Call;

const BOUNDARY: &str = "----a-boundary-of-the-tests";

/// Red on the left and blue on the right, so that it can be told which way it is turned.
pub fn two_coloured(width: u32, height: u32) -> DynamicImage {
    let picture = RgbImage::from_fn(width, height, |x, _| match x < width / 2 {
        true => Rgb([220, 20, 20]),
        false => Rgb([20, 20, 220]),
    });
    DynamicImage::ImageRgb8(picture)
}

/// A picture as a file.
pub fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("an encoder");
    bytes.into_inner()
}

/// A small JPEG.
pub fn photo() -> Vec<u8> {
    file(&two_coloured(64, 48), ImageFormat::Jpeg)
}

/// Fields of a form: `(name, file name, bytes)`.
pub fn form(fields: &[(&str, &str, &[u8])]) -> (String, Vec<u8>) {
    let mut body = Vec::new();
    for (name, file_name, bytes) in fields {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

impl Call {
    /// With photos.
    pub fn photos(self, files: &[&[u8]]) -> Self {
        let fields: Vec<(&str, &str, &[u8])> = files
            .iter()
            .map(|file| ("photos", "IMG_0001.JPG", *file))
            .collect();
        let (kind, body) = form(&fields);
        self.bytes(&kind, &body)
    }
}

/// What a camera reads in a picture of a QR code.
pub fn scanned(png: &[u8]) -> String {
    let picture = image::load_from_memory(png).unwrap().to_luma8();
    let (width, height) = picture.dimensions();
    let mut prepared = rqrr::PreparedImage::prepare_from_greyscale(
        usize::try_from(width).unwrap(),
        usize::try_from(height).unwrap(),
        |x, y| {
            picture
                .get_pixel(u32::try_from(x).unwrap(), u32::try_from(y).unwrap())
                .0[0]
        },
    );
    let grids = prepared.detect_grids();
    assert_eq!(grids.len(), 1);
    grids[0].decode().unwrap().1
}
