//! Sheets of A4 with text, lines and squares, written from top to bottom: a PDF that every reader shows alike, since it uses only
//! the fonts that each of them has. Nothing in it depends on when it was written.

use encoding_rs::WINDOWS_1252;
use pdf_writer::types::LineCapStyle;
use pdf_writer::{Content, Finish as _, Name, Pdf, Rect, Ref, Str, TextStr};

/// Points.
const WIDTH: f32 = 595.0;
const HEIGHT: f32 = 842.0;
/// Where text begins, and as far from the right edge it ends.
pub const LEFT: f32 = 56.0;
/// Where columns of amounts end.
pub const RIGHT: f32 = WIDTH - LEFT;
const TOP: f32 = HEIGHT - 64.0;
const BOTTOM: f32 = 64.0;

/// How text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// As usual.
    Plain,
    /// For headings and sums.
    Bold,
    /// For codes: each letter is as wide as any other.
    Mono,
}

impl Face {
    const ALL: [(Self, &'static [u8], &'static [u8]); 3] = [
        (Self::Plain, b"F1", b"Helvetica"),
        (Self::Bold, b"F2", b"Helvetica-Bold"),
        (Self::Mono, b"F3", b"Courier"),
    ];

    fn name(self) -> Name<'static> {
        let known = Self::ALL.iter().find(|(face, _, _)| *face == self);
        Name(known.map_or(b"F1", |(_, name, _)| name))
    }
}

/// What is being written.
pub struct Sheets {
    full: Vec<Content>,
    page: Content,
    y: f32,
}

impl Default for Sheets {
    fn default() -> Self {
        Self {
            full: Vec::new(),
            page: Content::new(),
            y: TOP,
        }
    }
}

impl Sheets {
    /// Goes down by so many points; to the next sheet when fewer than `room` are left below.
    pub fn down(&mut self, by: f32, room: f32) {
        self.y -= by;
        if self.y - room < BOTTOM {
            self.full.push(std::mem::replace(&mut self.page, Content::new()));
            self.y = TOP;
        }
    }

    /// Text that begins at `x`, on the present line.
    pub fn text(&mut self, x: f32, size: f32, face: Face, text: &str) {
        let bytes = encoded(text);
        self.page.begin_text();
        self.page.set_font(face.name(), size);
        self.page.next_line(x, self.y);
        self.page.show(Str(&bytes));
        self.page.end_text();
    }

    /// Text that ends at `x`: digits, their marks and what stands before them (`R$`, `-`).
    pub fn amount(&mut self, x: f32, size: f32, face: Face, text: &str) {
        self.text(x - width(text, size), size, face, text);
    }

    /// Text in as many lines as it needs; the last is the present one then. Words that are longer than a line are cut.
    pub fn paragraph(&mut self, x: f32, until: f32, size: f32, face: Face, text: &str) {
        let leading = size * 1.3;
        for (number, line) in lines(text, until - x, size, face).iter().enumerate() {
            if number > 0 {
                self.down(leading, 0.0);
            }
            self.text(x, size, face, line);
        }
    }

    /// A thin line over the whole width.
    pub fn rule(&mut self) {
        self.page.set_line_width(0.5);
        self.page.set_line_cap(LineCapStyle::ButtCap);
        self.page.move_to(LEFT, self.y).line_to(RIGHT, self.y).stroke();
    }

    /// A square of `points` each way below the present line, cut into as many `cells` each way; those at these columns and rows
    /// are black.
    pub fn squares(&mut self, points: f32, cells: usize, black: impl Iterator<Item = (usize, usize)>) {
        #[expect(
            clippy::cast_precision_loss,
            reason = "a code has fewer than 200 cells each way"
        )]
        let place = |cell: usize| points * cell as f32 / cells as f32;
        let side = place(1);
        for (column, row) in black {
            self.page
                .rect(LEFT + place(column), self.y - place(row + 1), side, side);
        }
        self.page.fill_nonzero();
    }

    /// The whole document.
    pub fn finish(mut self, title: &str) -> Vec<u8> {
        self.full.push(self.page);
        let mut ids = 1..;
        let mut next = || Ref::new(ids.next().unwrap_or(1));
        let (catalog, tree, info) = (next(), next(), next());
        let fonts = Face::ALL.map(|(_, name, base)| (next(), name, base));
        let pages: Vec<(Ref, Ref, Content)> =
            self.full.into_iter().map(|page| (next(), next(), page)).collect();
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(tree).lang(TextStr("pt-BR"));
        pdf.document_info(info).title(TextStr(title));
        let count = i32::try_from(pages.len()).unwrap_or(i32::MAX);
        pdf.pages(tree)
            .kids(pages.iter().map(|(page, _, _)| *page))
            .count(count);
        for (id, _, base) in fonts {
            let mut font = pdf.type1_font(id);
            font.base_font(Name(base));
            font.encoding_predefined(Name(b"WinAnsiEncoding"));
        }
        for (id, content_id, content) in pages {
            let mut page = pdf.page(id);
            page.parent(tree)
                .media_box(Rect::new(0.0, 0.0, WIDTH, HEIGHT))
                .contents(content_id);
            let mut resources = page.resources();
            let mut known = resources.fonts();
            for (font, name, _) in &fonts {
                known.pair(Name(name), *font);
            }
            known.finish();
            resources.finish();
            page.finish();
            pdf.stream(content_id, &content.finish());
        }
        pdf.finish()
    }
}

/// In the fonts' own letters; one that they lack is a question mark.
fn encoded(text: &str) -> Vec<u8> {
    let mut buffer = [0; 4];
    let mut bytes = Vec::with_capacity(text.len());
    for letter in text.chars() {
        let (known, _, is_missing) = WINDOWS_1252.encode(letter.encode_utf8(&mut buffer));
        bytes.extend_from_slice(if is_missing { b"?" } else { &known });
    }
    bytes
}

/// Cuts a text into lines of at most so many points.
fn lines(text: &str, room: f32, size: f32, face: Face) -> Vec<String> {
    let wide = |text: &str| match face {
        // All letters of Courier are as wide.
        Face::Mono => text.chars().map(|_| size * 0.6).sum(),
        Face::Plain | Face::Bold => width(text, size),
    };
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let Some(line) = lines.last_mut() else { continue };
        if line.is_empty() || wide(&format!("{line} {word}")) <= room {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
        while let Some(long) = lines.pop_if(|line| wide(line) > room && line.chars().nth(1).is_some()) {
            let mut fits = String::new();
            for letter in long.chars() {
                if wide(&format!("{fits}{letter}")) > room && !fits.is_empty() {
                    lines.push(std::mem::take(&mut fits));
                }
                fits.push(letter);
            }
            lines.push(fits);
        }
    }
    lines
}

/// How wide a text is in Helvetica, in points: exact for ASCII, about right for letters with accents. Digits and the marks of
/// amounts are as wide in its bold.
fn width(text: &str, size: f32) -> f32 {
    let thousandths: u32 = text.chars().map(|letter| u32::from(letter_width(letter))).sum();
    #[expect(clippy::cast_precision_loss, reason = "a line has few letters")]
    let points = thousandths as f32 / 1000.0;
    points * size
}

/// Thousandths of the size, by Adobe's metrics of Helvetica.
fn letter_width(letter: char) -> u16 {
    match letter {
        'i' | 'j' | 'l' => 222,
        ' ' | '!' | ',' | '.' | '/' | ':' | ';' | 'I' | '[' | '\\' | ']' | 'f' | 't' | 'í' => 278,
        '(' | ')' | '-' | '`' | 'r' | '{' | '}' => 333,
        'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' | 'J' | 'ç' => 500,
        'F' | 'T' | 'Z' => 611,
        '&' | 'A' | 'B' | 'E' | 'K' | 'P' | 'S' | 'V' | 'X' | 'Y' | 'Á' | 'À' | 'Â' | 'Ã' | 'É' | 'Ê' => {
            667
        }
        'C' | 'D' | 'H' | 'N' | 'R' | 'U' | 'w' | 'Ç' | 'Ú' => 722,
        'G' | 'O' | 'Q' | 'Ó' | 'Ô' | 'Õ' => 778,
        'M' | 'm' => 833,
        '%' => 889,
        'W' => 944,
        '@' => 1015,
        _ => 556,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_end_where_they_should() {
        // R 722, $ 556, space 278, 9 556, comma 278, two digits.
        assert!((width("R$ 9,90", 10.0) - 35.02).abs() < 0.001);
    }

    #[test]
    fn a_letter_that_the_fonts_lack_is_a_question_mark() {
        assert_eq!(encoded("Açaí 🚗"), b"A\xe7a\xed ?");
    }

    #[test]
    fn text_is_cut_between_words() {
        let cut = lines(
            "Mensalidade do plano Pro, de 01/03 a 31/03",
            100.0,
            10.0,
            Face::Plain,
        );
        assert_eq!(cut, ["Mensalidade do plano", "Pro, de 01/03 a 31/03"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_line_is_too_long(text in "[a-zA-Z0-9 ]{0,300}", room in 20.0f32..500.0) {
            for face in [Face::Plain, Face::Mono] {
                let cut = lines(&text, room, 9.0, face);
                let letters = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).collect::<String>();
                prop_assert_eq!(letters(&cut.concat()), letters(&text));
                for line in cut {
                    let wide = if face == Face::Mono { line.len() as f32 * 5.4 } else { width(&line, 9.0) };
                    prop_assert!(wide <= room + 0.01 || line.len() == 1, "{}", line);
                }
            }
        }
    }
}
