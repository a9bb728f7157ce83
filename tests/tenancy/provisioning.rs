//! Onboarding: what is there afterwards, and that there is never a half of it.

use crate::helpers::TestPlatform;

#[tokio::test]
async fn an_onboarded_tenant_is_found() {
    let test = TestPlatform::start().await;
    let garage = test.onboard("garage-alpha", "cars").await;
    assert_eq!(garage.schema_name, "tenant_garage_alpha");
    assert_eq!(test.resolved(&garage).await.home.id, garage.id);
}
