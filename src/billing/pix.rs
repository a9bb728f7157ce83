//! QR codes, of a PIX first of all: what its copy-paste text looks like to a camera, as PNG and as SVG.

use std::fmt::Write as _;
use std::io::Cursor;

use image::{GrayImage, ImageFormat, Luma};
use qrcode::{Color, EcLevel, QrCode};

/// Light modules around the code, as the standard wants them.
const QUIET: usize = 4;
/// Pixels of a module in a PNG.
const MODULE: u32 = 8;

/// The dark and light modules of a code, row by row.
pub struct PixCode {
    width: usize,
    modules: Vec<Color>,
}

impl PixCode {
    /// The code of a copy-paste text; none when no code can hold so long a text.
    pub fn of(text: &str) -> Option<Self> {
        let code = QrCode::with_error_correction_level(text, EcLevel::M).ok()?;
        Some(Self {
            width: code.width(),
            modules: code.into_colors(),
        })
    }

    /// The dark modules, by column and row of [`PixCode::side`] each way.
    pub fn dark(&self) -> impl Iterator<Item = (usize, usize)> {
        let places = self.modules.iter().enumerate();
        places
            .filter(|(_, color)| **color == Color::Dark)
            .map(|(place, _)| (place % self.width + QUIET, place / self.width + QUIET))
    }

    /// Modules of one side, the light ones around the code among them.
    pub fn side(&self) -> usize {
        self.width + 2 * QUIET
    }

    /// A picture of one bit of information per module, each eight pixels wide.
    pub fn png(&self) -> Option<Vec<u8>> {
        let side = u32::try_from(self.side()).ok()?;
        let mut small = GrayImage::from_pixel(side, side, Luma([255]));
        for (x, y) in self.dark() {
            let pixel = small.get_pixel_mut_checked(u32::try_from(x).ok()?, u32::try_from(y).ok()?)?;
            *pixel = Luma([0]);
        }
        let picture = GrayImage::from_fn(side * MODULE, side * MODULE, |x, y| {
            *small.get_pixel(x / MODULE, y / MODULE)
        });
        let mut png = Cursor::new(Vec::new());
        picture.write_to(&mut png, ImageFormat::Png).ok()?;
        Some(png.into_inner())
    }

    /// A drawing that scales: one path on a white square.
    pub fn svg(&self) -> String {
        let side = self.side();
        let mut path = String::new();
        for (x, y) in self.dark() {
            let _infallible = write!(path, "M{x} {y}h1v1h-1z");
        }
        format!(
            r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {side} {side}" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h{side}v{side}H0z"/><path d="{path}"/></svg>"##
        )
    }
}
