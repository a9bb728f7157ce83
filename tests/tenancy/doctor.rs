//! What the doctor says of the machines themselves.

use chrono::{TimeDelta, Utc};
use helixai::domain::clock::Clock;
use helixai::platform::doctor;

use crate::helpers::TestPlatform;

#[tokio::test]
async fn a_clock_of_its_own_is_found() {
    let test = TestPlatform::builder().start().await;
    for (apart, expected) in [
        (TimeDelta::zero(), 0),
        (TimeDelta::hours(1), 1),
        (TimeDelta::hours(-1), 1),
    ] {
        let clock = Clock::fixed(Utc::now() + apart);
        let examined = doctor(&test.settings, 1, &clock).expect("the settings are right");
        let findings = examined.examine().await;
        let found = findings.iter().filter(|finding| finding.check == "clock").count();
        assert_eq!(found, expected, "{apart}: {findings:#?}");
    }
}
