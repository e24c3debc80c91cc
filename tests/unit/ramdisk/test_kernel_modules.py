# Copyright (c) 2026 weft.fabric contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which kernel modules stay: what a server's hardware needs, with all that it needs, and little else."""

from __future__ import annotations

import pytest

from ansible_collections.weft.fabric.plugins.module_utils import ramdisk_kernel
from ansible_collections.weft.fabric.plugins.module_utils.errors import FabricError

# As depmod writes it.
DEPENDENCIES = """\
kernel/drivers/net/ethernet/intel/igb/igb.ko: kernel/drivers/i2c/algos/i2c-algo-bit.ko kernel/drivers/dca/dca.ko
kernel/drivers/i2c/algos/i2c-algo-bit.ko:
kernel/drivers/dca/dca.ko:
kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/net/core/failover.ko:
kernel/drivers/net/wireless/ath/ath.ko: kernel/net/wireless/cfg80211.ko
kernel/net/wireless/cfg80211.ko:
kernel/drivers/char/ipmi/ipmi_si.ko: kernel/drivers/char/ipmi/ipmi_msghandler.ko
kernel/drivers/char/ipmi/ipmi_msghandler.ko:
kernel/drivers/gpu/drm/radeon/radeon.ko:
kernel/drivers/scsi/scsi_debug.ko:
kernel/drivers/scsi/megaraid/megaraid_sas.ko.xz:
kernel/drivers/nvme/host/nvme.ko: kernel/drivers/nvme/common/nvme-common.ko
kernel/drivers/nvme/common/nvme-common.ko:
"""


def kept() -> set[str]:
    needs = ramdisk_kernel.parse_dependencies(DEPENDENCIES)
    return {path.removeprefix("kernel/") for path in ramdisk_kernel.kept(list(needs), needs)}


def test_what_a_driver_needs_stays_with_it() -> None:
    assert {
        "drivers/net/ethernet/intel/igb/igb.ko",
        "drivers/i2c/algos/i2c-algo-bit.ko",
        "drivers/dca/dca.ko",
    } <= kept()
    assert {"drivers/net/virtio_net.ko", "drivers/net/net_failover.ko", "net/core/failover.ko"} <= kept()
    assert "drivers/nvme/common/nvme-common.ko" in kept()


def test_compressed_modules_are_modules() -> None:
    assert "drivers/scsi/megaraid/megaraid_sas.ko.xz" in kept()


def test_the_bmc_can_be_asked() -> None:
    assert {"drivers/char/ipmi/ipmi_si.ko", "drivers/char/ipmi/ipmi_msghandler.ko"} <= kept()


def test_what_no_server_is_deployed_with_goes() -> None:
    gone = ("drivers/gpu/", "drivers/net/wireless/", "net/wireless/", "drivers/scsi/scsi_debug")
    assert [path for path in kept() if path.startswith(gone)] == []


@pytest.mark.parametrize("versions", [[], ["6.1.0-1-amd64", "6.1.0-2-amd64"]])
def test_one_kernel_is_needed(tmp_path, versions: list[str]) -> None:
    for version in versions:
        (tmp_path / "usr/lib/modules" / version).mkdir(parents=True)
    with pytest.raises(FabricError, match="where one kernel was expected: choose a package"):
        ramdisk_kernel.only_version(str(tmp_path))
