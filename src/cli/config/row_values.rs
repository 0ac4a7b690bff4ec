//! DETAIL, read on its own: what goes wrong before the settings are read is told in the same way. What is wrong with it
//! is reported where the settings are read.

use crate::cli::Environment;
use crate::postgres::RowValues;

pub(super) const ROW_VALUES: [(&str, RowValues); 2] = [("show", RowValues::Show), ("hide", RowValues::Hide)];

pub(crate) fn row_values(environment: &Environment) -> RowValues {
    let asked = environment.text("DETAIL").map(str::trim).unwrap_or_default();
    let chosen = ROW_VALUES.iter().find(|(word, _)| word.eq_ignore_ascii_case(asked));
    chosen.map_or_else(|| default_row_values(environment), |(_, values)| *values)
}

pub(super) fn default_row_values(environment: &Environment) -> RowValues {
    if environment.is_in_cluster() { RowValues::Hide } else { RowValues::Show }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_hides_them_unless_it_is_told_not_to() {
        let of = |variables: &[(&str, &str)]| row_values(&variables.iter().copied().collect());
        let cluster = ("KUBERNETES_SERVICE_HOST", "10.0.0.1");
        assert_eq!(of(&[]), RowValues::Show);
        assert_eq!(of(&[("DETAIL", "hide")]), RowValues::Hide);
        assert_eq!(of(&[cluster]), RowValues::Hide);
        assert_eq!(of(&[cluster, ("DETAIL", " Show ")]), RowValues::Show);
        assert_eq!(of(&[cluster, ("DETAIL", "all")]), RowValues::Hide);
    }
}
