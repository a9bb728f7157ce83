//! The QR code of a PIX, as a camera sees it.

use helixai::billing::pix::PixCode;

use crate::helpers::pictures::scanned;

const TEXT: &str = "00020126580014br.gov.bcb.pix0136b76aa9c2-2ec4-4110-954e-ebfe34f05b61520400005303986540510.505802BR5911TE35069Wi056014Begz kGOBJEUte62230519mpqrinter132741051963042B7C";

#[test]
fn a_camera_reads_the_text() {
    for text in [TEXT, "0", &"9".repeat(600), "pix com acentuação"] {
        let code = PixCode::of(text).unwrap();
        assert_eq!(scanned(&code.png().unwrap()), text);
    }
}

#[test]
fn the_drawing_shows_the_same_modules() {
    let code = PixCode::of(TEXT).unwrap();
    let svg = code.svg();
    let picture = image::load_from_memory(&code.png().unwrap()).unwrap().to_luma8();
    let side = picture.width() / 8;
    assert!(svg.contains(&format!(r#"viewBox="0 0 {side} {side}""#)), "{svg}");
    let mut dark = 0;
    for (x, y) in (0..side).flat_map(|x| (0..side).map(move |y| (x, y))) {
        let is_dark = picture.get_pixel(x * 8 + 4, y * 8 + 4).0[0] == 0;
        assert_eq!(svg.contains(&format!("M{x} {y}h1v1h-1z")), is_dark, "{x} {y}");
        dark += usize::from(is_dark);
    }
    assert!(dark > 500);
    assert!(!svg.contains("pix"), "a drawing holds no text");
}

#[test]
fn what_is_too_long_has_no_code() {
    assert!(PixCode::of(&"x".repeat(5_000)).is_none());
}
