//! From whatever somebody has sent to two JPEGs of our own making: what was in the file beside the picture (where it
//! was taken, another file) does not get past here.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, Rgb, RgbImage};

use super::jpeg;

/// The longer side of a photo, in pixels, at most.
pub const FULL: u32 = 1600;
/// The longer side of a thumbnail, in pixels, at most.
pub const THUMBNAIL: u32 = 400;
/// Width times height of what is decoded. With it a decoder takes some 400 MB at the very most.
pub const MAX_PIXELS: u64 = 40_000_000;
/// Bytes of the decoded picture: four for each pixel.
const MAX_BYTES: u64 = 4 * MAX_PIXELS;
const QUALITY: u8 = 85;

/// A photo as it is kept.
pub struct Pictures {
    /// At most [`FULL`] on its longer side.
    pub full: Vec<u8>,
    /// At most [`THUMBNAIL`] on its longer side.
    pub thumbnail: Vec<u8>,
}

/// Why a file is no photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// None of the formats that are read.
    Format,
    /// More than [`MAX_PIXELS`], or deeper than four bytes for each of them.
    TooManyPixels,
    /// Cut short, or broken in another way.
    Damaged,
}

/// Makes the pictures of a photo. It takes a while: not for a thread that serves requests.
///
/// # Errors
/// See [`Unusable`].
pub fn render(bytes: &[u8]) -> Result<Pictures, Unusable> {
    let format = sniff(bytes).ok_or(Unusable::Format)?;
    // The decoder paints what it has and is content with that.
    if format == ImageFormat::Jpeg && !jpeg::is_whole(bytes) {
        return Err(Unusable::Damaged);
    }
    let picture = decode(bytes, format)?;
    Ok(Pictures {
        thumbnail: encode(&shrink(DynamicImage::ImageRgb8(picture.clone()), THUMBNAIL).into_rgb8())?,
        full: encode(&picture)?,
    })
}

/// What the first bytes say. Names and announced types prove nothing.
fn sniff(bytes: &[u8]) -> Option<ImageFormat> {
    if bytes.starts_with(&[0xff, 0xd8, 0xff]) {
        Some(ImageFormat::Jpeg)
    } else if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        Some(ImageFormat::Png)
    } else if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        Some(ImageFormat::WebP)
    } else {
        None
    }
}

fn decode(bytes: &[u8], format: ImageFormat) -> Result<RgbImage, Unusable> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refusal)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 {
        return Err(Unusable::Damaged);
    }
    if pixels > MAX_PIXELS || decoder.total_bytes() > MAX_BYTES {
        return Err(Unusable::TooManyPixels);
    }
    let orientation = decoder.orientation().ok();
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refusal)?;
    picture = shrink(picture, FULL);
    if let Some(orientation) = orientation {
        picture.apply_orientation(orientation);
    }
    Ok(on_white(picture))
}

fn refusal(error: image::ImageError) -> Unusable {
    match error {
        image::ImageError::Limits(_) => Unusable::TooManyPixels,
        image::ImageError::Unsupported(_) => Unusable::Format,
        _ => Unusable::Damaged,
    }
}

/// Into a square of this side. First by averages to twice the size, which takes little memory, then well.
fn shrink(picture: DynamicImage, side: u32) -> DynamicImage {
    let longer = picture.width().max(picture.height());
    if longer <= side {
        return picture;
    }
    let nearer = if longer > 4 * side {
        picture.thumbnail(2 * side, 2 * side)
    } else {
        picture
    };
    nearer.resize(side, side, FilterType::Lanczos3)
}

/// JPEG knows no transparency.
fn on_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let picture = picture.into_rgba8();
    let mut opaque = RgbImage::new(picture.width(), picture.height());
    for (from, to) in picture.pixels().zip(opaque.pixels_mut()) {
        let [red, green, blue, alpha] = from.0.map(u16::from);
        let over =
            |colour: u16| u8::try_from((colour * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX);
        *to = Rgb([over(red), over(green), over(blue)]);
    }
    opaque
}

fn encode(picture: &RgbImage) -> Result<Vec<u8>, Unusable> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, QUALITY)
        .encode_image(picture)
        .map_err(|_| Unusable::Damaged)?;
    Ok(bytes)
}
