//! What is printed of an invoice, and what administrators read of all of them.

use helixai::db::master::billing_reports;
use helixai_fakes::gateways::Change;
use reqwest::Method;
use serde_json::json;

use super::till::Till;

fn says(pdf: &[u8], text: &str) -> bool {
    let text = format!("({text})");
    pdf.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test]
async fn an_invoice_is_printed_with_its_pix_and_its_receipt_without() {
    let mut till = Till::open().await;
    let (invoice, _, payment) = till.pix().await;
    let path = format!("/api/invoices/{invoice}/pdf");
    let open = till.owner(Method::GET, &path).await;
    open.expect(200);
    assert_eq!(open.header("content-type"), Some("application/pdf"));
    assert!(open.body.starts_with(b"%PDF-1."));
    assert!(says(&open.body, "Pague com PIX") && says(&open.body, "Total"));
    let again = till.owner(Method::GET, &path).await;
    assert!(open.body == again.body, "the same invoice is the same file");
    let admins = format!("/api/admin/invoices/{invoice}/pdf");
    let admins = till.admin(Method::GET, &admins).await;
    assert!(admins.expect(200).body == open.body);

    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.until_invoice(invoice, "paid").await;
    let receipt = till.owner(Method::GET, &path).await;
    assert!(!says(&receipt.expect(200).body, "Pague com PIX"));

    till.client = till.onboard("thief").await;
    till.owner(Method::GET, &path).await.problem(404, "not_found");
}

#[tokio::test]
async fn reports_say_what_came_in() {
    let till = Till::open().await;
    let (invoice, _, payment) = till.pix().await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.until_invoice(invoice, "paid").await;
    let report = |path: &str| till.admin(Method::GET, &format!("/api/admin/reports/{path}"));

    let billing = report("billing").await.expect(200).json();
    let now = &billing["now"];
    assert_eq!(
        (&now["mrr_cents"], &now["active"], &now["overdue_cents"]),
        (&json!(payment.cents), &json!(1), &json!(0)),
        "{billing}"
    );
    let events = &billing["events"];
    assert_eq!(
        (
            &events["new_paying"],
            &events["paying_at_start"],
            &events["churned"]
        ),
        (&json!(1), &json!(0), &json!(0))
    );
    let revenue = report("revenue").await.expect(200).json();
    let line = &revenue["items"][0];
    assert_eq!(
        (&line["month"], &line["received_cents"], &line["returned_cents"]),
        (&billing["month"], &json!(payment.cents), &json!(0)),
        "{revenue}"
    );
    let table = report("revenue?format=csv").await;
    assert_eq!(table.header("content-type"), Some("text/csv; charset=utf-8"));
    let table = table.expect(200).text();
    assert!(
        table.starts_with("month,plan,invoiced_cents,received_cents,returned_cents\n"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 2);

    // A month later what was not paid is owed.
    let body = json!({"items": [{"description": "Automação", "unit_cents": 5000}]});
    let sold = till.admin(
        Method::POST,
        &format!("/api/admin/tenants/{}/invoices", till.client.key),
    );
    sold.json(&body).await.expect(201);
    assert_eq!(report("overdue").await.expect(200).json()["items"], json!([]));
    let later = till.clock.now().date_naive() + chrono::TimeDelta::days(40);
    let master = &till.app.test.platform.master;
    let owing = billing_reports::overdue(master, later).await.expect("a report");
    let owing: Vec<_> = owing
        .iter()
        .map(|one| (one.tenant_key.as_str(), one.overdue_cents, one.invoices))
        .collect();
    assert_eq!(owing, [(till.client.key.as_str(), 5000, 1)]);
    for bad in [
        "billing?month=2026-13",
        "revenue?format=xls",
        "revenue?from=2020-01&until=2026-01",
    ] {
        report(bad).await.problem(422, "invalid_fields");
    }
}
