// SPDX-License-Identifier: Apache-2.0
// The main function of every test binary.
#include "support/cmocka_reporter.hpp"

int main(int argc, char** argv) { return flannelette::tests::run_all(argc, argv); }
