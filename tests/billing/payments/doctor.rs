//! What `helixai doctor` says of payments: what somebody has to look at, and what does not go on by itself.

use helixai::domain::clock::Clock;
use helixai::platform::doctor;
use helixai_fakes::gateways::{Change, Failure, Fault};
use reqwest::Method;
use serde_json::json;

use super::findings::with_findings;
use super::till::Till;

/// What is said of payments, in order: check, what, cure.
async fn said(till: &Till) -> Vec<(String, String, String)> {
    let examined = doctor(&till.app.test.settings, 1, &Clock::system()).expect("the settings are right");
    let all = examined.examine().await.into_iter();
    let mut said: Vec<_> = all
        .filter(|finding| finding.check.starts_with("payment"))
        .map(|finding| (finding.check.to_owned(), finding.what, finding.cure))
        .collect();
    said.sort();
    said
}

#[tokio::test]
async fn findings_are_told_with_their_cure_until_they_are_closed() {
    let (till, _) = with_findings().await;
    let found = said(&till).await;
    let all: Vec<_> = found.iter().map(|(check, _, _)| check.as_str()).collect();
    assert_eq!(all, ["payment_finding"; 2], "{found:?}");
    for (word, (_, what, cure)) in ["less than was asked", "another currency"].iter().zip(&found) {
        assert!(what.contains(word) && what.contains("garage"), "{what}");
        let path = cure
            .split('`')
            .nth(1)
            .expect("a route")
            .trim_start_matches("POST ");
        let call = till.admin(Method::POST, path).json(&json!({"note": "visto"}));
        call.await.expect(200);
    }
    assert_eq!(said(&till).await, []);
}

/// Events that were given up, charges that nobody goes on with, refunds that a gateway refuses.
#[tokio::test]
async fn what_does_not_go_on_by_itself_is_told() {
    let till = Till::open_by_hand().await;
    assert_eq!(said(&till).await, []);
    let (invoice, charge, payment) = till.pix().await;
    till.gateway.change(&payment.id, Change::Pay).await.expect("paid");
    till.app
        .until("it is paid", || async {
            till.work().await;
            till.charge_status(charge).await == "paid"
        })
        .await;
    let on = format!("POST /v1/payments/{}/refunds", payment.id);
    till.gateway.fail(Fault::once(&on, Failure::Status(400)));
    let path = format!("/api/admin/invoices/{invoice}/refund");
    let refund = till
        .admin(Method::POST, &path)
        .json(&json!({}))
        .await
        .expect(201)
        .json();
    assert_eq!(refund["state"], "failed");
    let admin = till.app.test.admin().await;
    admin
        .batch_execute(
            "update master.gateway_events set state = 'dead', done_at = null, last_error = 'it cannot be read';
             update master.charges set next_check_at = now() - interval '2 hours', last_error = 'nobody came'",
        )
        .await
        .expect("changed");
    let found = said(&till).await;
    let all: Vec<_> = found.iter().map(|(check, _, _)| check.as_str()).collect();
    assert_eq!(
        all,
        ["payment_charges", "payment_events", "payment_refund"],
        "{found:?}"
    );
    let words = [
        "nobody came",
        "it cannot be read",
        refund["id"].as_str().expect("an id"),
    ];
    for (word, (_, what, _)) in words.iter().zip(&found) {
        assert!(what.contains(word), "{what}");
    }
}
