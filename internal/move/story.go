package move

import "github.com/whimbrel/whimbrel/internal/procedure"

// Procedures returns every procedure that a configuration may name, the usual one first, for a move that changes the database alone.
func Procedures() []procedure.Story {
	return []procedure.Story{DowntimeOptimized(), Standard()}
}

// ToRelease returns the same procedures for a move that carries the application to a new release: they have ofRelease's steps too.
// Such a step does nothing where the release has nothing for it.
func ToRelease() []procedure.Story {
	return []procedure.Story{whole(), standard(whole())}
}

// ofRelease are the steps that a move without a release has not got: its journal says nothing of them.
var ofRelease = []string{"build-shadow", "copy-repository", "check-repository", "switch-release", "update-application", "run-after"}

// DowntimeOptimized moves the uptime tables while the application runs, follows their changes, and leaves for the
// downtime only what is left: the last changes, the other tables, the proof and the switch.
func DowntimeOptimized() procedure.Story { return whole().Without(ofRelease...) }

// Standard moves every table in the downtime: nothing is captured, so nothing has to be replayed.
func Standard() procedure.Story { return standard(DowntimeOptimized()) }

// whole is the story with every step that there is.
func whole() procedure.Story {
	return procedure.Story{
		Name:   "downtime-optimized",
		Does:   "The uptime tables are copied and followed while the application runs; the downtime holds only what is left.",
		Phases: []procedure.Phase{checkPhase, preparePhase, loadPhase, downtimePhase, finishPhase},
	}
}

func standard(of procedure.Story) procedure.Story {
	s := of.Without("install-capture", "load-uptime", "build-indexes", "replay", "verify-uptime", "drain")
	s.Name, s.Does = "standard", "Every table is copied in the downtime; the source is touched by nothing but the gate."
	return s
}

// rebuild is the answer that has the shadow built again.
const rebuild = "rebuild"

var checkPhase = procedure.Phase{
	Name: "check", Does: "Nothing is changed on either side.",
	Steps: []procedure.Step{
		{
			Name: "check-source",
			Does: "The source answers, its settings and our rights allow the move, and its identity is noted.",
		},
		{
			Name: "check-target",
			Does: "The target answers, its settings and our rights allow the move, and none of its tables is in the way.",
		},
		{
			Name: "inspect",
			Does: "Every table, key, sequence and other object of the source is known, and the values that types alone do not tell have been looked at.",
		},
		{
			Name: "classify", Turn: procedure.Anew,
			Does: "Every table has one class (uptime, downtime, repository, skip), each with its reason.",
		},
		{
			Name: "translate", Turn: procedure.Anew,
			Does: "Every table has its form at the target, and what the target can not keep is a finding.",
		},
		{
			Name: "accept-findings", Turn: procedure.Offers,
			Does: "Nothing forbids the move, and the operator has accepted what would be lost.",
			Asks: "Go on with these findings?",
		},
	},
}

var preparePhase = procedure.Phase{
	Name: "prepare", Does: "Uptime: the target is made ready and the source begins to note what changes.",
	Steps: []procedure.Step{
		{
			Name: "shut-target",
			Does: "Nobody but this move can write to the tables of the move at the target.",
		},
		{
			Name: "build-shadow",
			Does: "The release's own tables are built beside the running system, by its own scripts, and are locked at the source until the switch.",
		},
		{
			Name: "create-tables",
			Does: "Every table of the move is there at the target, empty, with its columns, and so is the ledger of what has been loaded.",
		},
		{
			Name: "copy-repository",
			Does: "What was built in a shadow at the source is at the target, and equal there.",
		},
		{
			Name: "install-capture",
			Does: "Each change to an uptime table is noted at the source, and no transaction is left that could still write unnoted.",
		},
	},
}

var loadPhase = procedure.Phase{
	Name: "load", Does: "Uptime: the uptime tables arrive, table by table, and are followed.", Order: procedure.Together,
	Steps: []procedure.Step{
		{
			Name: "load-uptime",
			Does: "Every range of every uptime table has been read once and stands in the target's ledger.",
		},
		{
			Name: "build-indexes",
			Does: "Every uptime table has its primary key, unique keys and indexes at the target.",
		},
		{
			Name: "replay", Until: "drain",
			Does: "The noted changes of each loaded table are made at the target, until none is left.",
		},
		{
			Name: "verify-uptime", Until: "drain",
			Does: "Every uptime table has been compared in full while it lived, and the keys that changed since are compared again.",
		},
	},
}

var downtimePhase = procedure.Phase{
	Name: "downtime", Does: "The application stands still, as shortly as can be.",
	Steps: []procedure.Step{
		{
			Name: "confirm-downtime", Turn: procedure.Offers,
			Does: "The operator has seen the forecast and allowed the downtime, and a last look has found every uptime table fit for it.",
			Asks: "Begin the downtime?",
		},
		{
			Name: "stop-application",
			Does: "The operator's stop command has ended without an error.",
		},
		{
			Name: "shut-source",
			Does: "The source refuses writes to every table of the move, and no transaction is left that could still write.",
		},
		{
			Name: "drain",
			Does: "The last noted changes are at the target, and the records at the source are empty.",
		},
		{
			Name: "check-repository",
			Does: "The release's own tables are at the source as they were when the shadow was built from them, or it has been built again.",
			Asks: "Rows that the shadow was built from have changed. Build it again, now, from the rows as they are?", Takes: rebuild,
		},
		{
			Name: "load-rest",
			Does: "Every downtime table is at the target with its keys and indexes.",
		},
		{
			Name: "set-sequences",
			Does: "Every sequence and identity at the target hands out values that were never used.",
		},
		{
			Name: "add-constraints",
			Does: "Foreign keys and checks hold for every row that is written at the target from now on, and no row is without its parent.",
		},
		{
			Name: "verify-downtime",
			Does: "Every table has its verdict, by the level that was chosen for it.",
		},
		{
			Name: "switch-release",
			Does: "What was built is no shadow any more: it stands at the target beside the tables that were moved.",
		},
		{
			Name: "update-application",
			Does: "The release has changed the shut target as it needs it, and its probes hold on both sides.",
		},
		{
			Name: "confirm-open", Way: procedure.NoReturn,
			Does: "Every table's verdict is equal, or the operator has given a reason that is kept; from here there is no way back.",
			Asks: "Open the target? This is the point of no return.",
		},
		{
			Name: "open-target",
			Does: "The target's own triggers are on, and everybody who has the right can write to its tables.",
		},
		{
			Name: "start-application",
			Does: "The operator's start command and the release's switch have ended without an error: the application runs on the target and answers.",
		},
	},
}

var finishPhase = procedure.Phase{
	Name: "finish", Does: "Uptime again: what the move needed is cleared away.",
	Steps: []procedure.Step{
		{
			Name: "run-after",
			Does: "What the release leaves for after the opening has run.",
		},
		{
			Name: "prove-constraints",
			Does: "Foreign keys and checks are proven by the target itself for the rows that were moved.",
		},
		{
			Name: "remove-capture",
			Does: "Nothing of ours is left on either side: no record, no trigger, no gate and no ledger.",
		},
		{
			Name: "report",
			Does: "The report of the move is written.",
		},
	},
}
