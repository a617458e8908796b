/* durable.pml: servers that forget what they had committed (docs/protocol.md, "What the numbers are for"). What each name stands
 * for in the program is in docs/model.md.
 *
 * A commit is seen before it is on disk. A crash takes a server back to what was on disk; an operator, or a standby that lagged,
 * takes it back to any earlier moment. The source has two rows, a record with one entry a transaction, and two numbers a lane: the
 * batch it was promised and the batch it has forgotten. The target has two rows and the number of the batch it has applied. We
 * may die between any two steps. A session of ours breaks with its server: a batch that is under way fails then, but between two
 * batches the driver connects anew and nobody is told.
 *
 * The property: when drain has found the record empty, the target is the source, or the move has stopped because the numbers do
 * not fit. A second one: crashes alone never stop it.
 *
 *   NO_BARRIER       what was read is applied before it is on the source's disk                              C7
 *   NO_LOAD_BARRIER  a range's rows are committed before they are on the source's disk                       C7
 *   OTHER_SESSION    the barrier is another session's, which does not notice that the source crashed between  C7
 *   LATE_TARGET      entries are forgotten though the target's commit is not on its disk: with NO_NUMBERS it is lost, with the numbers
 *                    the move stops                                                                        C7, C8
 *   SET_BACK         servers are set back to earlier moments, after the load: must hold
 *   NO_NUMBERS       nobody compares numbers                                                                 C8
 *   NO_PROMISE       a number is written at the source with Forget only: the last batch may be set back unseen   C8
 *   PROMISE_ANY      a promise is not refused where the one before it is not there                           C8
 *   PROMISE_AGAIN    a promise that nobody kept is used by the next attempt, whose rows may be later         C8
 *   WHILE_LOADING    a server may be set back while the table is loaded: no number tells, the comparison has to   C15
 */
#ifndef TXNS
#define TXNS 3
#endif
#ifndef DEATHS
#define DEATHS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifdef SET_BACK
#define BACKS 1
#else
#define BACKS 0
#endif
#define BIT(i) (1<<(i))

typedef Source { byte row[2]; byte record; byte promised; byte forgotten }
typedef Target { byte row[2]; bool line; byte applied }
Source source, sourceDisk, sourceCopy;
Target target, targetDisk, targetCopy;
byte keyOf[TXNS+1];                       /* the key that a transaction's entry names */
byte txns, crashes, backs, deaths, incarnation;
bool sourceKept, targetKept, shut, drained, stopped, isBack;

inline copySource(to, from) { to.row[0]=from.row[0]; to.row[1]=from.row[1]; to.record=from.record; to.promised=from.promised; to.forgotten=from.forgotten }
inline copyTarget(to, from) { to.row[0]=from.row[0]; to.row[1]=from.row[1]; to.line=from.line; to.applied=from.applied }
#define OVER (drained || stopped)

proctype User() {
  do
  :: atomic { txns<TXNS -> txns++; if :: keyOf[txns]=0 :: keyOf[txns]=1 fi;
       source.row[keyOf[txns]]=txns; source.record=source.record|BIT(txns-1); printf("user: commits %d in key %d\n",txns,keyOf[txns]) }
  :: atomic { shut=true; printf("shut-source\n") } -> break
  od
}

proctype Servers() {
end: do
  :: d_step { !OVER && (source.record!=sourceDisk.record || source.promised!=sourceDisk.promised || source.forgotten!=sourceDisk.forgotten ||
       source.row[0]!=sourceDisk.row[0] || source.row[1]!=sourceDisk.row[1]) -> copySource(sourceDisk,source); printf("source: log on disk\n") }
  :: d_step { !OVER && crashes<CRASHES -> crashes++; incarnation++; copySource(source,sourceDisk);
       printf("source: crashes, rows %d %d\n",source.row[0],source.row[1]) }
#ifdef LATE_TARGET
  :: d_step { !OVER && target.applied!=targetDisk.applied -> copyTarget(targetDisk,target); printf("target: log on disk\n") }
#endif
  :: d_step { !OVER && crashes<CRASHES && target.applied!=targetDisk.applied -> crashes++; copyTarget(target,targetDisk);
       printf("target: crashes, batch %d\n",target.applied) }
#ifdef WHILE_LOADING
  :: d_step { !OVER && !sourceKept && BACKS>0 -> sourceKept=true; copySource(sourceCopy,source); printf("source: is copied\n") }
  :: d_step { !OVER && !targetKept && BACKS>0 -> targetKept=true; copyTarget(targetCopy,target); printf("target: is copied\n") }
#else
  :: d_step { !OVER && !sourceKept && BACKS>0 && target.line -> sourceKept=true; copySource(sourceCopy,source); printf("source: is copied\n") }
  :: d_step { !OVER && !targetKept && BACKS>0 && target.line -> targetKept=true; copyTarget(targetCopy,target); printf("target: is copied\n") }
#endif
  :: d_step { !OVER && sourceKept && backs<BACKS -> backs++; incarnation++; isBack=true; copySource(source,sourceCopy); copySource(sourceDisk,source);
       printf("source: set back, rows %d %d promised %d forgotten %d\n",source.row[0],source.row[1],source.promised,source.forgotten) }
  :: d_step { !OVER && targetKept && backs<BACKS -> backs++; isBack=true; copyTarget(target,targetCopy); copyTarget(targetDisk,target);
       printf("target: set back, batch %d\n",target.applied) }
  od
}

/* What drain asks of the two sides' numbers. */
#ifdef NO_NUMBERS
#define FIT true
#else
#ifdef NO_PROMISE
#define FIT (source.forgotten==target.applied || source.forgotten+1==target.applied)
#else
#define FIT ((source.forgotten==target.applied || source.forgotten+1==target.applied) && source.promised==target.applied)
#endif
#endif
#ifdef OTHER_SESSION
#define BROKEN false
#else
#define BROKEN (session!=incarnation)
#endif
#define MAYDIE(to) if :: skip :: atomic { deaths<DEATHS -> deaths++; printf("dies\n"); goto to } fi

proctype Mover() {
  byte image[2], batch, keys, number, session, i;
load:
  do
  :: target.line -> break
  :: else ->
     atomic { image[0]=source.row[0]; image[1]=source.row[1]; session=incarnation; printf("load: reads %d %d\n",image[0],image[1]) };
#ifndef NO_LOAD_BARRIER
     atomic { if :: BROKEN -> goto load :: else -> copySource(sourceDisk,source); printf("load: durable\n") fi };
#endif
     MAYDIE(load);
     atomic { target.row[0]=image[0]; target.row[1]=image[1]; target.line=true; copyTarget(targetDisk,target); printf("load.commit\n") }
  od;
align:
  atomic { batch=0; keys=0; image[0]=0; image[1]=0; session=0; number=target.applied;
#ifndef NO_NUMBERS
    if
#ifdef NO_PROMISE
    :: source.forgotten==number
#else
    :: source.forgotten==number && source.promised==number
#ifdef PROMISE_AGAIN
    :: source.forgotten==number && source.promised==number+1
#else
    /* Nobody kept the promise: a batch without keys keeps it. */
    :: source.forgotten==number && source.promised==number+1 -> number++; target.applied=number; source.forgotten=number;
       copyTarget(targetDisk,target); printf("align: batch %d is empty\n",number)
#endif
#endif
#ifdef NO_PROMISE
    :: source.forgotten+1==number -> source.forgotten=number
#else
    :: source.forgotten+1==number && source.promised==number -> source.forgotten=number
#endif
    :: else -> stopped=true; printf("TIME TRAVEL: promised %d forgotten %d applied %d\n",source.promised,source.forgotten,number); goto done
    fi;
#endif
    printf("align: batch %d\n",number) };
  do
  :: atomic { source.record!=0 -> i=0; session=incarnation;            /* take: some entries, and their rows in the same snapshot */
       do
       :: i<TXNS ->
          if
          :: (source.record & BIT(i)) -> batch=batch|BIT(i); keys=keys|BIT(keyOf[i+1])
          :: (source.record & BIT(i)) && (batch!=0 || (source.record>>(i+1))!=0) -> skip
          :: !(source.record & BIT(i)) -> skip
          fi; i++
       :: else -> break
       od; i=0;
       if :: keys & 1 -> image[0]=source.row[0] :: else fi; if :: keys & 2 -> image[1]=source.row[1] :: else fi;
       printf("replay.taken: entries %d keys %d\n",batch,keys) };
     MAYDIE(align);
#ifndef NO_BARRIER
     atomic {                                                          /* the promise and the barrier, by one session */
       if :: BROKEN -> printf("durable: the session is gone\n"); goto align :: else fi;
#if !defined(NO_PROMISE) && !defined(NO_NUMBERS)
       if
       :: source.promised==number && source.forgotten==number -> source.promised=number+1
#ifdef PROMISE_AGAIN
       :: source.promised==number+1 -> skip
#endif
#ifdef PROMISE_ANY
       :: source.promised!=number || source.forgotten!=number -> source.promised=number+1
#else
       :: else -> printf("durable: promised is %d\n",source.promised); goto align
#endif
       fi;
#endif
       copySource(sourceDisk,source); printf("durable: promised %d\n",source.promised) };
     MAYDIE(align);
#endif
     atomic { if :: target.applied!=number -> printf("apply: the number is another\n"); goto align :: else fi;
       number++; target.applied=number; if :: keys & 1 -> target.row[0]=image[0] :: else fi; if :: keys & 2 -> target.row[1]=image[1] :: else fi;
       keys=0; image[0]=0; image[1]=0;
#ifndef LATE_TARGET
       copyTarget(targetDisk,target);
#endif
       printf("replay.apply: batch %d, target %d %d\n",number,target.row[0],target.row[1]) };
     MAYDIE(align);
     atomic { if :: session!=incarnation -> printf("forget: the session is gone\n"); goto align :: else fi;
       source.record=source.record & (255-batch); source.forgotten=number; batch=0; session=0; printf("replay.forgotten: batch %d\n",number) };
     MAYDIE(align)
  :: atomic { shut && source.record==0 ->
       if :: FIT -> drained=true; printf("drain: source %d %d target %d %d\n",source.row[0],source.row[1],target.row[0],target.row[1])
          :: else -> stopped=true; printf("drain: the numbers do not fit\n") fi }; break
  od;
done:
  atomic {
    assert(!drained || (source.row[0]==target.row[0] && source.row[1]==target.row[1]));
#ifndef LATE_TARGET
    assert(!stopped || isBack);
#endif
    skip }
}

init { atomic { run User(); run Servers(); run Mover() } }
