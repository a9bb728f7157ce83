//! Connections: how many the program may open to a server, and how many that server has.

use super::report::Report;

/// Connections of administrators beside the pools: an onboarding, and a migration or an examination.
const ADMINISTRATORS: i64 = 2;
/// Connections by which a process says that it lives and takes work, besides those of tenants.
const OF_LOGINS: i64 = 2;
/// The part of a server's connections that the program may plan with, in percent; the rest is for people, backups and
/// replication.
const SHARE: i64 = 80;

/// What one server is asked for, when every pool is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Lanes of all shards on the server.
    pub lanes: i64,
    /// Connections of a process to each.
    pub lane_pool: i64,
    /// Connections of a process to the registry, the one that hears change notices among them; 0 on other servers.
    pub master_pool: i64,
    /// Processes that serve.
    pub processes: i64,
    /// `max_connections` of the server.
    pub max_connections: i64,
    /// Those that only superusers get.
    pub reserved: i64,
}

impl Budget {
    /// Connections that the program may open.
    pub fn needed(&self) -> i64 {
        (self.lanes * self.lane_pool + OF_LOGINS + self.master_pool) * self.processes + ADMINISTRATORS
    }

    /// Connections that it should stay within.
    pub fn planned(&self) -> i64 {
        self.max_connections * SHARE / 100
    }

    /// A warning when it is more than it should, an error when it is more than there are.
    pub fn judge(&self, report: &mut Report) {
        let needed = self.needed();
        if needed <= self.planned() {
            return;
        }
        let what = format!(
            "{needed} connections may be needed ({} lanes × {} + {OF_LOGINS} + {} to the registry, × {} processes, + {ADMINISTRATORS}), \
             and {SHARE} % of max_connections are {}",
            self.lanes,
            self.lane_pool,
            self.master_pool,
            self.processes,
            self.planned(),
        );
        // The least max_connections of which `needed` is not more than the share.
        let enough = (needed * 100).div_euclid(SHARE) + i64::from((needed * 100).rem_euclid(SHARE) > 0);
        let cure = format!(
            "lower `tenancy.lane_pool` or `database.master_pool`, or `alter system set max_connections = {enough}` and \
             restart PostgreSQL"
        );
        if needed > self.max_connections - self.reserved {
            report.error("connections", what, cure);
        } else {
            report.warning("connections", what, cure);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Level;
    use super::*;

    fn levels(budget: Budget) -> Vec<Level> {
        let mut report = Report::default();
        budget.judge(&mut report);
        report
            .into_findings()
            .into_iter()
            .map(|finding| finding.level)
            .collect()
    }

    #[test]
    fn every_pool_of_every_process_counts() {
        let mut budget = Budget {
            lanes: 17,
            lane_pool: 4,
            master_pool: 8,
            processes: 1,
            max_connections: 100,
            reserved: 3,
        };
        assert_eq!((budget.needed(), budget.planned()), (80, 80));
        assert_eq!(levels(budget), []);
        budget.lanes = 18;
        assert_eq!(levels(budget), [Level::Warning]);
        budget.lanes = 22;
        assert_eq!(budget.needed(), 100);
        assert_eq!(levels(budget), [Level::Error]);
        budget.max_connections = 125;
        assert_eq!(
            levels(budget),
            [],
            "what the cure says is enough: 100 of 125 are below 80 %"
        );
        budget.processes = 2;
        assert_eq!(budget.needed(), 198);
    }
}
