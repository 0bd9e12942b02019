//! Every query on SQLite, and on PostgreSQL where `PODBAY_TEST_POSTGRES` names one
//! (`cargo xtask test` starts one).

mod accounts;
mod commit;
mod faults;
mod harness;
mod places;
mod pods;
