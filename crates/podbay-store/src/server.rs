//! The servers that share a database, and which of them works on what.

use crate::account::bound;
use crate::sqlite::row;
use crate::store::Connection;
use crate::{Result, Tx, all, exec, opt};
use podbay_core::{DiskId, PodId, ServerId, Subject, Timestamp};

/// A server whose lease has not been found to be over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its id.
    pub id: ServerId,
    /// Name of its machine.
    pub name: String,
    /// Version of podbay.
    pub version: String,
    /// Digest of what all servers of one database have in common.
    pub folder: String,
    /// When it joined.
    pub started_at: Timestamp,
    /// From then on anybody may take over what it has claimed.
    pub lease_until: Timestamp,
}

macro_rules! unclaimed {
    ($table:literal, $lock:literal) => {
        concat!(
            "SELECT id FROM ",
            $table,
            " WHERE terminated_at IS NULL AND NOT EXISTS \
             (SELECT 1 FROM claims WHERE subject = ",
            $table,
            ".id) ORDER BY id LIMIT $1",
            $lock
        )
    };
}

/// Live pods and disks without a claim: with one writer, and with several.
const UNCLAIMED: ([&str; 2], [&str; 2]) = (
    [unclaimed!("pods", ""), unclaimed!("disks", "")],
    [unclaimed!("pods", " FOR UPDATE SKIP LOCKED"), unclaimed!("disks", " FOR UPDATE SKIP LOCKED")],
);

row! {
    struct Row {
        id: String,
        name: String,
        version: String,
        folder: String,
        started_at: i64,
        lease_until: i64,
    }
}

impl From<Row> for Server {
    fn from(row: Row) -> Self {
        Self {
            id: ServerId::from_stored(row.id),
            name: row.name,
            version: row.version,
            folder: row.folder,
            started_at: Timestamp::from_millis(row.started_at),
            lease_until: Timestamp::from_millis(row.lease_until),
        }
    }
}

impl Tx {
    /// All servers, oldest first.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn server_list(&mut self) -> Result<Vec<Server>> {
        let sql =
            "SELECT id, name, version, folder, started_at, lease_until FROM servers ORDER BY started_at, id";
        Ok(all!(self, Row, sql)?.into_iter().map(Server::from).collect())
    }

    /// Adds a server.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn server_insert(&mut self, server: &Server) -> Result<()> {
        exec!(
            self,
            "INSERT INTO servers (id, name, version, folder, started_at, lease_until) \
             VALUES ($1, $2, $3, $4, $5, $6)",
            server.id.as_str(),
            &server.name,
            &server.version,
            &server.folder,
            server.started_at.as_millis(),
            server.lease_until.as_millis()
        )?;
        Ok(())
    }

    /// Moves the end of a server's lease; whether it still had one.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn server_renew(&mut self, id: &ServerId, until: Timestamp) -> Result<bool> {
        let sql = "UPDATE servers SET lease_until = $2 WHERE id = $1";
        Ok(exec!(self, sql, id.as_str(), until.as_millis())? == 1)
    }

    /// Deletes the servers whose leases are over by `now`, with their claims; how many. A lease that ends after
    /// `latest`, later than any that is given now, is over, too: the clock has jumped back since it was given.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn server_expire(&mut self, now: Timestamp, latest: Timestamp) -> Result<u64> {
        let sql = "DELETE FROM servers WHERE lease_until <= $1 OR lease_until > $2";
        exec!(self, sql, now.as_millis(), latest.as_millis())
    }

    /// Deletes the servers of a data folder, with their claims: whoever calls knows that they have ended; how many.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn server_end(&mut self, folder: &str) -> Result<u64> {
        exec!(self, "DELETE FROM servers WHERE folder = $1", folder)
    }

    /// Gives a pod or a disk to a server, unless another one has it; whether it has it then. A server
    /// without a lease gets nothing.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn claim_take(&mut self, subject: &Subject, server: &ServerId) -> Result<bool> {
        let sql = "INSERT INTO claims (subject, server_id) SELECT $1, $2 WHERE EXISTS \
                   (SELECT 1 FROM servers WHERE id = $2) ON CONFLICT (subject) DO UPDATE \
                   SET server_id = excluded.server_id WHERE claims.server_id = excluded.server_id";
        Ok(exec!(self, sql, subject.as_str(), server.as_str())? == 1)
    }

    /// Whether a server has a pod or a disk.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn claim_holds(&mut self, subject: &Subject, server: &ServerId) -> Result<bool> {
        let sql = "SELECT 1 FROM claims WHERE subject = $1 AND server_id = $2";
        Ok(opt!(self, (i32,), sql, subject.as_str(), server.as_str())?.is_some())
    }

    /// Nobody works on it any more.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn claim_drop(&mut self, subject: &Subject) -> Result<()> {
        exec!(self, "DELETE FROM claims WHERE subject = $1", subject.as_str())?;
        Ok(())
    }

    /// Gives a server up to `most` live pods and as many live disks that no server has. Several servers may do
    /// this at the same time: each passes over what another one is just about to take.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn claim_adopt(&mut self, server: &ServerId, most: u64) -> Result<Vec<Subject>> {
        let on = match &self.connection {
            Connection::Sqlite(_) => &UNCLAIMED.0,
            Connection::Postgres(_) => &UNCLAIMED.1,
        };
        let mut adopted = Vec::new();
        for (nth, sql) in on.iter().enumerate() {
            for (id,) in all!(self, (String,), *sql, bound(most))? {
                let subject = match nth {
                    0 => Subject::Pod(PodId::from_stored(id)),
                    _ => Subject::Disk(DiskId::from_stored(id)),
                };
                if self.claim_take(&subject, server).await? {
                    adopted.push(subject);
                }
            }
        }
        Ok(adopted)
    }
}
