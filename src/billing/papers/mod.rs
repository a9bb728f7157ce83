//! What customers print and keep: invoices and receipts as PDF, in Portuguese.

mod sheet;

use chrono::NaiveDate;

use crate::billing::pix::PixCode;
use crate::db::master::invoices::InvoiceRecord;
use crate::domain::billing::invoice::{InvoiceLine, InvoiceStatus};
use crate::domain::billing::issuer::Issuer;
use crate::domain::document::Document;
use crate::domain::money::Cents;
use crate::domain::month::BOOKS_TZ;
use sheet::{Face, LEFT, RIGHT, Sheets};

/// Points of a PIX's QR code.
const CODE: f32 = 120.0;

/// An invoice as PDF; once it is paid, its receipt. While it is open, `pix` is the copy-paste text by which it can be paid.
/// The same invoice is the same file, byte by byte.
pub fn invoice(
    issuer: &Issuer,
    invoice: &InvoiceRecord,
    lines: &[InvoiceLine],
    pix: Option<&str>,
) -> Vec<u8> {
    let mut sheets = Sheets::default();
    let title = title(invoice);
    head(&mut sheets, issuer, invoice, &title);
    table(&mut sheets, invoice, lines);
    if let Some(pix) = pix.filter(|_| invoice.status == InvoiceStatus::Open) {
        payment(&mut sheets, pix);
    }
    sheets.down(36.0, 0.0);
    let note = "Este documento não substitui a nota fiscal.";
    sheets.text(LEFT, 8.0, Face::Plain, note);
    sheets.finish(&title)
}

fn title(invoice: &InvoiceRecord) -> String {
    match invoice.status {
        InvoiceStatus::Paid => format!("Recibo da fatura nº {}", invoice.number),
        InvoiceStatus::Open | InvoiceStatus::Void => format!("Fatura nº {}", invoice.number),
    }
}

fn head(sheets: &mut Sheets, issuer: &Issuer, invoice: &InvoiceRecord, title: &str) {
    sheets.text(LEFT, 14.0, Face::Bold, &issuer.name);
    for line in [&issuer.document, &issuer.address].into_iter().flatten() {
        sheets.down(13.0, 0.0);
        sheets.paragraph(LEFT, RIGHT, 9.0, Face::Plain, line);
    }
    sheets.down(36.0, 0.0);
    sheets.text(LEFT, 18.0, Face::Bold, title);
    let issued = invoice.issued_at.with_timezone(&BOOKS_TZ).date_naive();
    let state = match (invoice.status, invoice.paid_at) {
        (InvoiceStatus::Paid, Some(at)) => {
            format!("Paga em {}", date(at.with_timezone(&BOOKS_TZ).date_naive()))
        }
        (InvoiceStatus::Void, _) => "Cancelada: nada é devido".to_owned(),
        _ => format!("Vencimento: {}", date(invoice.due_date)),
    };
    sheets.down(20.0, 0.0);
    sheets.text(
        LEFT,
        10.0,
        Face::Plain,
        &format!("Emitida em {}. {state}.", date(issued)),
    );
    sheets.down(30.0, 0.0);
    sheets.text(LEFT, 9.0, Face::Bold, "Cliente");
    sheets.down(14.0, 0.0);
    sheets.paragraph(LEFT, RIGHT, 10.0, Face::Plain, &invoice.customer_name);
    if let Some(document) = &invoice.customer_document {
        let shown = Document::parse(document).map_or_else(|_| document.clone(), |known| known.formatted());
        sheets.down(14.0, 0.0);
        sheets.text(LEFT, 10.0, Face::Plain, &format!("CPF/CNPJ: {shown}"));
    }
}

/// Where the columns of the table end; the description ends before the first.
const COLUMNS: [f32; 3] = [RIGHT - 180.0, RIGHT - 90.0, RIGHT];

fn table(sheets: &mut Sheets, invoice: &InvoiceRecord, lines: &[InvoiceLine]) {
    sheets.down(30.0, 0.0);
    sheets.text(LEFT, 9.0, Face::Bold, "Descrição");
    for (end, heading) in COLUMNS.into_iter().zip(["Qtd.", "Unitário", "Valor"]) {
        sheets.amount(end, 9.0, Face::Bold, heading);
    }
    sheets.down(6.0, 0.0);
    sheets.rule();
    for line in lines {
        sheets.down(16.0, 30.0);
        let amounts = [
            line.quantity.to_string(),
            money(line.unit_cents),
            money(i64::from(line.quantity) * line.unit_cents),
        ];
        for (end, amount) in COLUMNS.into_iter().zip(amounts) {
            sheets.amount(end, 10.0, Face::Plain, &amount);
        }
        sheets.paragraph(LEFT, COLUMNS[0] - 30.0, 10.0, Face::Plain, &line.description);
    }
    sheets.down(8.0, 30.0);
    sheets.rule();
    sheets.down(18.0, 0.0);
    sheets.text(LEFT, 11.0, Face::Bold, "Total");
    sheets.amount(RIGHT, 11.0, Face::Bold, &money(invoice.total_cents));
    if invoice.refunded_cents > 0 {
        sheets.down(16.0, 0.0);
        sheets.text(LEFT, 10.0, Face::Plain, "Devolvido");
        sheets.amount(RIGHT, 10.0, Face::Plain, &money(invoice.refunded_cents));
    }
}

fn payment(sheets: &mut Sheets, pix: &str) {
    sheets.down(36.0, CODE + 60.0);
    sheets.text(LEFT, 11.0, Face::Bold, "Pague com PIX");
    sheets.down(14.0, 0.0);
    sheets.text(
        LEFT,
        9.0,
        Face::Plain,
        "Aponte a câmera do banco para o código, ou copie o texto abaixo:",
    );
    sheets.down(10.0, CODE);
    if let Some(code) = PixCode::of(pix) {
        sheets.squares(CODE, code.side(), code.dark());
        sheets.down(CODE + 16.0, 0.0);
    }
    sheets.paragraph(LEFT, RIGHT, 8.0, Face::Mono, pix);
}

fn date(day: NaiveDate) -> String {
    day.format("%d/%m/%Y").to_string()
}

/// As Brazilians write it; what is given back has a minus in front.
fn money(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    let amount = i64::try_from(cents.unsigned_abs())
        .ok()
        .and_then(|cents| Cents::parse(cents).ok());
    format!("{sign}{}", amount.unwrap_or(Cents::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_has_a_minus() {
        assert_eq!(money(-3_960), "-R$ 39,60");
        assert_eq!(money(123_456), "R$ 1.234,56");
    }
}
