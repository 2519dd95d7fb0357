"""The solution of the exercise in docs/tour/04-removed-newcomer.md: a user is online with any device."""

from __future__ import annotations

import pytest

from resumehub.testing import Deepening, ScheduleFailed, explore


def user_of(connection):
    return connection.id.partition("-")[0]


class OneDevice:
    """The exercise's: one connection for each user, and whoever leaves takes the entry along."""

    def __init__(self, lab):
        self.lab = lab
        self.online = {}

    def arrived(self, connection):
        self.online[user_of(connection)] = connection

    def gone(self, connection, error):
        self.online.pop(user_of(connection), None)


class OneDeviceThatLooks(OneDevice):
    """With the gallery's fix: only the latest device takes the entry along. The phone is forgotten."""

    def gone(self, connection, error):
        if self.online.get(user_of(connection)) is connection:
            del self.online[user_of(connection)]


class AllDevices(OneDevice):
    """A set of devices for each user; but between the look and the removal another one may arrive."""

    def arrived(self, connection):
        self.online.setdefault(user_of(connection), set()).add(connection)

    def gone(self, connection, error):
        devices = self.online[user_of(connection)]
        devices.discard(connection)
        if not devices:
            self.lab.pause("remove the user")
            del self.online[user_of(connection)]


class AllDevicesUnderALock(AllDevices):
    """The same, with handlers of different connections one after the other."""

    def __init__(self, lab):
        super().__init__(lab)
        self.lock = lab.threading.Lock()

    def arrived(self, connection):
        with self.lock:
            super().arrived(connection)

    def gone(self, connection, error):
        with self.lock:
            super().gone(connection, error)


def one_of_two_leaves(presence_type, leaver):
    def scenario(lab):
        presence, hub = presence_type(lab), lab.open(resume_window=0)
        hub.on_connect(presence.arrived)
        hub.on_disconnect(presence.gone)
        devices = {"phone": lab.dial("/?id=ada-phone")}

        @lab.actor
        def laptop():
            devices["laptop"] = lab.dial("/?id=ada-laptop")
            if leaver == "laptop":
                devices["laptop"].close()

        @lab.actor
        def phone():
            if leaver == "phone":
                devices["phone"].close()

        @lab.at_end
        def she_is_online():
            assert "ada" in presence.online, f"ada left with her {leaver}, and is here with the other"

    return scenario


@pytest.mark.parametrize("leaver", ["phone", "laptop"])
def test_one_entry_a_user_loses_the_other_device(leaver):
    with pytest.raises(ScheduleFailed, match="is here with the other"):
        explore(one_of_two_leaves(OneDevice, leaver))


def test_comparing_is_not_enough_when_both_stay_valid():
    """It saves the laptop from the phone's goodbye, and not the phone from the laptop's."""
    explore(one_of_two_leaves(OneDeviceThatLooks, "phone"), Deepening(1), twice=False)
    with pytest.raises(ScheduleFailed, match="is here with the other"):
        explore(one_of_two_leaves(OneDeviceThatLooks, "laptop"))


def test_a_set_without_a_lock_loses_who_arrives_just_then():
    with pytest.raises(ScheduleFailed, match="is here with the other"):
        explore(one_of_two_leaves(AllDevices, "phone"))


@pytest.mark.parametrize("leaver", ["phone", "laptop"])
def test_a_set_under_a_lock_keeps_the_one_that_stays(leaver):
    scenario = one_of_two_leaves(AllDevicesUnderALock, leaver)

    assert explore(scenario, Deepening(1), twice=False).complete
