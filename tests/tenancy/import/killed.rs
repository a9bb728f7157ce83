//! The program dies as by `kill -9` at any named point of an import.

use super::garage::dump_of;
use super::{Files, ONBOARD, number, rows};
use crate::tenancy::killed::{Killed, ended, must_die, points};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_import_killed_at_any_point_is_whole_or_nothing_and_can_be_repeated() {
    let files = Files::new();
    let dump = files.write(
        "garage.sql",
        dump_of(&[
            (
                "leads",
                vec!["(1,'Ana','11912345678',NULL,NULL,'novo',NULL,NULL,NULL,NULL)".to_owned()],
            ),
            (
                "conversas",
                vec!["(1,1,NULL,'whatsapp','aberta','2025-01-01 10:00:00')".to_owned()],
            ),
            (
                "mensagens",
                vec!["(1,1,'cliente','texto','Oi','2025-01-01 10:00:00')".to_owned()],
            ),
        ]),
    );
    let arguments = [
        &["tenant", "import", "garage", "--mysql-dump", &dump],
        &ONBOARD[..],
    ]
    .concat();
    let points = points("import");
    assert!(points.len() >= 5, "{points:?}");
    for point in points {
        let killed = Killed::start(250).await;
        let admin = killed.test.admin().await;
        must_die(killed.command(&arguments), &point).await;
        killed.restart().await;
        assert_eq!(killed.consistent().await, ["garage"], "{point}");
        let committed = point == "import.committed";
        assert_eq!(rows(&admin).await != [0; 6], committed, "{point}");
        let again = ended(killed.command(&arguments)).await;
        assert_eq!(again.status.code(), Some(0), "{point}: {again:?}");
        let whole = rows(&admin).await;
        assert_eq!(whole, [0, 1, 1, 1, 1, 1], "{point}");
        let told = String::from_utf8_lossy(&again.stdout).into_owned();
        // The secrets, which nobody has seen yet.
        assert!(told.contains("api key   "), "{point}: {told}");
        let noted = "select count(*) from master.audit_log where action = 'tenant.import'";
        assert!(number(&admin, noted).await >= 1, "{point}");
    }
}
