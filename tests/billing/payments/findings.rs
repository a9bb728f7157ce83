//! What nobody expected, and what an administrator does about it.

use helixai_fakes::gateways::Change;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::till::Till;

const PATH: &str = "/api/admin/payment-findings";

/// Two findings: too little was paid, in the wrong currency.
pub async fn with_findings() -> (Till, Uuid) {
    let till = Till::open_by_hand().await;
    let (invoice, _, payment) = till.pix().await;
    for change in [
        Change::PayPart {
            cents: payment.cents - 1,
        },
        Change::PayIn {
            currency: "USD".to_owned(),
        },
    ] {
        let known = till.findings().await.len();
        // The same payment as it was before anybody paid.
        till.gateway.restore(&payment);
        till.gateway.change(&payment.id, change).await.expect("paid");
        till.app
            .until("it is found", || async {
                till.work().await;
                till.findings().await.len() > known
            })
            .await;
    }
    (till, invoice)
}

#[tokio::test]
async fn a_finding_is_closed_with_a_note_once() {
    let (till, invoice) = with_findings().await;
    let list = async |query: &str| -> Vec<Value> {
        let path = format!("{PATH}{query}");
        let page = till.admin(Method::GET, &path).await.expect(200).json();
        page["items"].as_array().expect("items").clone()
    };
    let all = list("").await;
    let kinds: Vec<_> = all
        .iter()
        .map(|one| one["kind"].as_str().expect("a kind"))
        .collect();
    assert_eq!(kinds, ["currency", "amount"]);
    let found = &all[1];
    assert_eq!(
        (
            &found["tenant_key"],
            &found["invoice_id"],
            &found["gateway"],
            &found["currency"]
        ),
        (
            &json!("garage"),
            &json!(invoice),
            &json!("mercado_pago"),
            &json!("BRL")
        )
    );
    assert_eq!(list("?status=resolved").await, [] as [Value; 0]);
    let bad = till.admin(Method::GET, &format!("{PATH}?status=away")).await;
    bad.problem(422, "invalid_fields");
    let page = till
        .admin(Method::GET, &format!("{PATH}?limit=1"))
        .await
        .expect(200)
        .json();
    let cursor = page["next_cursor"].as_str().expect("another page");
    let second = list(&format!("?cursor={cursor}")).await;
    assert_eq!(second, std::slice::from_ref(found));

    let path = format!("{PATH}/{}/resolve", found["id"].as_str().expect("an id"));
    let resolve = |body: Value| till.admin(Method::POST, &path).json(&body);
    for wrong in [json!({}), json!({"note": ""}), json!({"note": "x".repeat(501)})] {
        resolve(wrong).await.problem(422, "invalid_fields");
    }
    let note = json!({"note": "devolvido no painel"});
    let closed = resolve(note.clone()).await.expect(200).json();
    assert_eq!(closed["note"], note["note"]);
    assert!(closed["resolved_at"].is_string(), "{closed}");
    assert_eq!(
        resolve(json!({"note": "outra vez"})).await.expect(200).json(),
        closed
    );
    assert_eq!(list("").await.len(), 1);
    assert_eq!(list("?status=resolved").await, [closed]);
    let audit = till
        .admin(Method::GET, "/api/admin/audit?tenant_key=garage")
        .await;
    let lines = audit.expect(200).json()["items"]
        .as_array()
        .expect("items")
        .clone();
    let closings: Vec<_> = lines
        .iter()
        .filter(|line| line["action"] == "payment_finding.resolve")
        .map(|line| (&line["details"]["kind"], &line["details"]["payment"]))
        .collect();
    assert_eq!(closings, [(&json!("amount"), &found["gateway_payment_id"])]);
    assert!(!lines.iter().any(|line| line.to_string().contains("devolvido")));

    let nowhere = format!("{PATH}/{}/resolve", Uuid::now_v7());
    let unknown = till.admin(Method::POST, &nowhere).json(&note).await;
    unknown.problem(404, "not_found");
    for (method, path) in [(Method::GET, PATH), (Method::POST, path.as_str())] {
        let foreign = till
            .call(method, path)
            .bearer(&till.client.owner)
            .json(&note)
            .await;
        foreign.problem(401, "unauthorized");
    }
}
