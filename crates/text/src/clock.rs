//! A time given by the caller, for chat templates that write today's date. This crate reads no clock.

/// Seconds of a day.
const DAY: i64 = 86_400;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A time in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DateTime {
    year: i64,
    /// 1 to 12.
    month: usize,
    /// 1 to 31.
    day: i64,
    /// 0 is Sunday.
    weekday: usize,
    /// Day of the year from 1.
    year_day: i64,
    /// Since midnight.
    seconds: i64,
}

impl DateTime {
    /// The time `seconds` after 1970-01-01T00:00:00Z, in the proleptic Gregorian calendar.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY);
        // Howard Hinnant's `civil_from_days`: years start on March 1st, so the leap day is their last; an era is
        // 400 years. https://howardhinnant.github.io/date_algorithms.html#civil_from_days
        let shifted = days + 719_468;
        let (era, era_day) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let era_year = (era_day - era_day / 1460 + era_day / 36_524 - era_day / 146_096) / 365;
        let march_day = era_day - (365 * era_year + era_year / 4 - era_year / 100);
        let march_month = (5 * march_day + 2) / 153;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era_year + era * 400 + i64::from(month <= 2);
        let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        // March 1st is day 60 of a year, or 61 of a leap year. January 1st is day 306 after March 1st.
        let year_day = if month <= 2 { march_day - 305 } else { march_day + 60 + i64::from(leap) };
        Self {
            year,
            month: index(month),
            day: march_day - (153 * march_month + 2) / 5 + 1,
            // 1970-01-01 was a Thursday.
            weekday: index((days + 4).rem_euclid(7)),
            year_day,
            seconds: seconds.rem_euclid(DAY),
        }
    }

    /// Formats like C's `strftime` in the C locale. `None` if the format has a conversion other than
    /// `%Y %y %m %B %b %d %e %j %A %a %H %I %M %S %p %%`.
    #[must_use]
    pub fn strftime(&self, format: &str) -> Option<String> {
        let (hour, minute, second) = (self.seconds / 3600, self.seconds / 60 % 60, self.seconds % 60);
        let (month, weekday) = (MONTHS[self.month - 1], WEEKDAYS[self.weekday]);
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            match chars.next()? {
                'Y' => out += &self.year.to_string(),
                'y' => out += &format!("{:02}", self.year.rem_euclid(100)),
                'm' => out += &format!("{:02}", self.month),
                'B' => out += month,
                'b' => out += &month[..3],
                'd' => out += &format!("{:02}", self.day),
                'e' => out += &format!("{:2}", self.day),
                'j' => out += &format!("{:03}", self.year_day),
                'A' => out += weekday,
                'a' => out += &weekday[..3],
                'H' => out += &format!("{hour:02}"),
                'I' => out += &format!("{:02}", (hour + 11) % 12 + 1),
                'M' => out += &format!("{minute:02}"),
                'S' => out += &format!("{second:02}"),
                'p' => out += if hour < 12 { "AM" } else { "PM" },
                '%' => out.push('%'),
                _ => return None,
            }
        }
        Some(out)
    }
}

/// A calendar field as an index: months are at most 12, weekdays at most 6.
fn index(field: i64) -> usize {
    usize::try_from(field).expect("calendar fields are small and not negative")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        let all = "%Y-%m-%d %H:%M:%S %A %j";
        let at = |seconds| DateTime::from_unix(seconds).strftime(all).unwrap();
        assert_eq!(at(0), "1970-01-01 00:00:00 Thursday 001");
        assert_eq!(at(-1), "1969-12-31 23:59:59 Wednesday 365");
        assert_eq!(at(951_782_400), "2000-02-29 00:00:00 Tuesday 060");
        assert_eq!(at(951_868_800), "2000-03-01 00:00:00 Wednesday 061");
        assert_eq!(at(1_735_689_599), "2024-12-31 23:59:59 Tuesday 366");
        assert_eq!(at(4_107_542_400), "2100-03-01 00:00:00 Monday 060");
    }

    #[test]
    fn every_conversion() {
        let moment = DateTime::from_unix(1_721_952_305);
        assert_eq!(
            moment.strftime("%d %b %Y|%e|%B|%y|%a|%I:%M %p|100%%").unwrap(),
            "26 Jul 2024|26|July|24|Fri|12:05 AM|100%"
        );
        assert_eq!(moment.strftime("%Q"), None);
        assert_eq!(moment.strftime("%"), None);
    }
}
