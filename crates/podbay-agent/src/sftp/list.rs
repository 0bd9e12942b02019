//! The line of a directory listing that `sftp`'s `ls -l` shows as it comes.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use crate::users::Tables;

const DAY: i64 = 86_400;
/// A file older or younger than this is listed with its year, as `ls` does.
const RECENT: i64 = 182 * DAY;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes listing lines, remembering the names of users and groups.
#[derive(Default)]
pub(crate) struct Lister {
    tables: Option<Tables>,
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl Lister {
    /// One line for `name`, relative to `now` (seconds since 1970). Times are in UTC: reading the
    /// container's time zone is not worth its code.
    pub(crate) fn line(&mut self, name: &[u8], found: &Metadata, now: i64) -> Vec<u8> {
        let tables = self.tables.get_or_insert_with(Tables::read);
        let (uid, gid) = (found.uid(), found.gid());
        let user = self.users.entry(uid);
        let user = user.or_insert_with(|| tables.user_name(uid).unwrap_or_else(|| uid.to_string()));
        let group = self.groups.entry(gid);
        let group = group.or_insert_with(|| tables.group_name(gid).unwrap_or_else(|| gid.to_string()));
        let mut line = format!(
            "{} {:>4} {:<8} {:<8} {:>8} {} ",
            mode(found.mode()),
            found.nlink(),
            user,
            group,
            found.size(),
            date(found.mtime(), now)
        )
        .into_bytes();
        line.extend_from_slice(name);
        line
    }
}

fn mode(mode: u32) -> String {
    let kind = match mode & libc::S_IFMT {
        libc::S_IFDIR => 'd',
        libc::S_IFLNK => 'l',
        libc::S_IFCHR => 'c',
        libc::S_IFBLK => 'b',
        libc::S_IFIFO => 'p',
        libc::S_IFSOCK => 's',
        _ => '-',
    };
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}

fn date(time: i64, now: i64) -> String {
    let (year, month, day) = civil(time.div_euclid(DAY));
    let name = MONTHS[month];
    if (now - time).abs() < RECENT {
        let seconds = time.rem_euclid(DAY);
        format!("{name} {day:>2} {:02}:{:02}", seconds / 3600, seconds % 3600 / 60)
    } else {
        format!("{name} {day:>2}  {year:>4}")
    }
}

/// Year, month from 0, and day of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, usize, i64) {
    // Years are taken to begin in March, so that the leap day is the last of the year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12;
    let year = year_of_era + era * 400 + i64::from(month < 2);
    (year, usize::try_from(month).unwrap_or(0), day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes() {
        assert_eq!(mode(0o100_644), "-rw-r--r--");
        assert_eq!(mode(0o041_777), "drwxrwxrwt");
        assert_eq!(mode(0o104_650), "-rwSr-x---");
    }

    #[test]
    fn dates() {
        assert_eq!(civil(0), (1970, 0, 1));
        assert_eq!(civil(19_782), (2024, 1, 29));
        assert_eq!(civil(-1), (1969, 11, 31));
        assert_eq!(date(1_709_209_800, 1_709_209_900), "Feb 29 12:30");
        assert_eq!(date(0, 1_709_209_900), "Jan  1  1970");
    }
}
