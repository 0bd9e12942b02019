//! Whose SSH keys are in which pod.

use crate::sqlite::row;
use crate::{
    IN_LISTS, Result, SshKeyRecord, StoreError, Tx, all, exec, in_list, in_lists, number, placeholders,
};
use podbay_core::pod::{Pod, Resource, Sharing};
use podbay_core::{HostId, PodId, SshKeyId, TeamId, UserId};
use std::collections::HashMap;
use std::sync::LazyLock;

/// What of a pod decides which keys it lets in, and where they are written. Little: an account may have a
/// thousand pods, and to take all their rows apart would hold up everybody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// The pod.
    pub id: PodId,
    /// Where it is.
    pub host: HostId,
    /// Who made it.
    pub user_id: UserId,
    /// Whether it is a team's.
    pub is_of_team: bool,
    /// The present one.
    pub attempt: u32,
    /// Whether a machine is there, or may be.
    pub has_machine: bool,
}

impl Door {
    /// That of a row.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        Self {
            id: pod.id.clone(),
            host: pod.host.clone(),
            user_id: pod.user_id.clone(),
            is_of_team: pod.team_id.is_some(),
            attempt: pod.attempt,
            has_machine: pod.machine != Resource::Absent,
        }
    }
}

row! {
    struct DoorRow {
        id: String,
        host_id: String,
        user_id: String,
        is_of_team: bool,
        attempt: i64,
        has_machine: bool,
    }
}

impl TryFrom<DoorRow> for Door {
    type Error = StoreError;
    fn try_from(row: DoorRow) -> Result<Self> {
        Ok(Self {
            attempt: number(row.attempt, "pods", "attempt", &row.id)?,
            id: PodId::from_stored(row.id),
            host: HostId::from_stored(row.host_id),
            user_id: UserId::from_stored(row.user_id),
            is_of_team: row.is_of_team,
            has_machine: row.has_machine,
        })
    }
}

fn ids(rows: Vec<(String,)>) -> Vec<PodId> {
    rows.into_iter().map(|(id,)| PodId::from_stored(id)).collect()
}

static OF_PODS: LazyLock<[String; IN_LISTS.len()]> = LazyLock::new(|| {
    let sql = "SELECT id, host_id, user_id, team_id IS NOT NULL AS is_of_team, attempt, \
               machine <> '\"absent\"' AS has_machine \
               FROM pods WHERE terminated_at IS NULL AND id IN (IDS)";
    IN_LISTS.map(|size| sql.replace("IDS", &placeholders(1, size)))
});

static CHOSEN_OF_PODS: LazyLock<[String; IN_LISTS.len()]> = LazyLock::new(|| {
    let sql = "SELECT pod_id, ssh_key_id FROM pod_keys WHERE pod_id IN (IDS)";
    IN_LISTS.map(|size| sql.replace("IDS", &placeholders(1, size)))
});

impl Tx {
    /// Writes with whom a pod that has just been added is shared.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] for a member who is named twice, or who is no user.
    pub async fn pod_share(&mut self, id: &PodId, sharing: &Sharing) -> Result<()> {
        match sharing {
            Sharing::Nobody => {}
            Sharing::Team => {
                exec!(self, "UPDATE pods SET shared_with_team = TRUE WHERE id = $1", id.as_str())?;
            }
            Sharing::Members(members) => {
                for member in members {
                    let sql = "INSERT INTO pod_members (pod_id, user_id) VALUES ($1, $2)";
                    exec!(self, sql, id.as_str(), member.as_str())?;
                }
            }
        }
        Ok(())
    }

    /// Makes a new pod let in only this one of its maker's keys.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] if one was chosen before.
    pub async fn pod_choose_ssh_key(&mut self, pod: &PodId, key: &SshKeyId) -> Result<()> {
        let sql = "INSERT INTO pod_keys (pod_id, ssh_key_id) VALUES ($1, $2)";
        exec!(self, sql, pod.as_str(), key.as_str())?;
        Ok(())
    }

    /// The SSH keys that each of those pods lets in now, oldest first: of its maker (all of them, or the chosen
    /// one), or, for a team's pod, of those members who made it or whom it is shared with.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn ssh_keys_of_pods(&mut self, pods: &[Door]) -> Result<Vec<Vec<SshKeyRecord>>> {
        let mut chosen: HashMap<String, String> = HashMap::new();
        for (size, ids) in in_lists(pods.iter().map(|pod| pod.id.as_str()).collect()) {
            let rows = in_list!(self, (String, String), &CHOSEN_OF_PODS[size], [], ids)?;
            chosen.extend(rows);
        }
        let mut of_users: HashMap<&UserId, Vec<SshKeyRecord>> = HashMap::new();
        let mut all = Vec::with_capacity(pods.len());
        for pod in pods {
            let mut keys = if pod.is_of_team {
                self.ssh_keys_of_team_pod(&pod.id).await?
            } else if let Some(keys) = of_users.get(&pod.user_id) {
                keys.clone()
            } else {
                let keys = self.ssh_key_all(&pod.user_id).await?;
                of_users.insert(&pod.user_id, keys.clone());
                keys
            };
            if let Some(chosen) = chosen.get(pod.id.as_str()) {
                keys.retain(|key| key.user_id != pod.user_id || key.id.as_str() == chosen);
            }
            all.push(keys);
        }
        Ok(all)
    }

    async fn ssh_keys_of_team_pod(&mut self, pod: &PodId) -> Result<Vec<SshKeyRecord>> {
        let rows = all!(
            self,
            crate::account::SshKeyRow,
            "SELECT k.* FROM pods p JOIN team_members m ON m.team_id = p.team_id \
             JOIN ssh_keys k ON k.user_id = m.user_id WHERE p.id = $1 AND (m.user_id = p.user_id \
             OR p.shared_with_team OR m.user_id IN (SELECT user_id FROM pod_members WHERE pod_id = p.id)) \
             ORDER BY k.created_at, k.id",
            pod.as_str()
        )?;
        Ok(rows.into_iter().map(SshKeyRecord::from).collect())
    }

    /// All live pods that may hold SSH keys of a user: a pod that does is among them.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_ids_of_user(&mut self, user: &UserId) -> Result<Vec<PodId>> {
        let sql = "SELECT id FROM pods WHERE user_id = $1 AND terminated_at IS NULL \
                   UNION SELECT p.id FROM team_members m JOIN pods p ON p.owner_id = m.team_id \
                   WHERE m.user_id = $1 AND p.terminated_at IS NULL AND p.shared_with_team \
                   UNION SELECT pod_id FROM pod_members WHERE user_id = $1 \
                   AND pod_id IN (SELECT id FROM pods WHERE terminated_at IS NULL)";
        Ok(ids(all!(self, (String,), sql, user.as_str())?))
    }

    /// All live pods of a team.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_ids_of_team(&mut self, team: &TeamId) -> Result<Vec<PodId>> {
        let sql = "SELECT id FROM pods WHERE owner_id = $1 AND terminated_at IS NULL";
        Ok(ids(all!(self, (String,), sql, team.as_str())?))
    }

    /// The doors of those of these pods that live.
    ///
    /// # Errors
    /// The database refuses.
    pub async fn pod_doors(&mut self, ids: &[PodId]) -> Result<Vec<Door>> {
        let mut found = Vec::with_capacity(ids.len());
        for (size, ids) in in_lists(ids.iter().map(PodId::as_str).collect()) {
            let rows = in_list!(self, DoorRow, &OF_PODS[size], [], ids)?;
            found.extend(rows.into_iter().map(Door::try_from).collect::<Result<Vec<_>>>()?);
        }
        Ok(found)
    }
}
