"""Updates of the readers' applications: releases, and rollouts that bring one to an organisation's readers in waves."""
