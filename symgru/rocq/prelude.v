From Coq Require Import Reals.
From Coq Require Fin.
Open Scope R_scope.
(* A rewriting applies to the constant that it names, and to no other that is convertible with it. *)
Set Keyed Unification.

Definition vector (size : nat) := Fin.t size -> R.
Definition batch (examples size : nat) := Fin.t examples -> Fin.t size -> R.
Definition mask (examples size : nat) := Fin.t examples -> Fin.t size -> bool.
Definition matrix (rows columns : nat) := Fin.t rows -> Fin.t columns -> R.

Fixpoint sum {size : nat} : (Fin.t size -> R) -> R :=
  match size with
  | O => fun _ => 0
  | S smaller => fun f => f Fin.F1 + sum (fun k => f (Fin.FS k))
  end.

Lemma sum_scaled : forall size (c : R) (f g : Fin.t size -> R),
  (forall k, f k = c * g k) -> sum f = c * sum g.
Proof.
  induction size as [|size IH]; intros c f g scaled; cbn; [ring|].
  rewrite scaled, (IH c _ (fun k => g (Fin.FS k))); [ring|].
  intro k; apply scaled.
Qed.

Fixpoint over_steps (steps : nat) (f : nat -> R) : R :=
  match steps with
  | O => 0
  | S before => over_steps before f + f before
  end.

Lemma over_steps_scaled : forall steps (c : R) (f g : nat -> R),
  (forall t, f t = c * g t) -> over_steps steps f = c * over_steps steps g.
Proof.
  induction steps as [|steps IH]; intros c f g scaled; cbn; [ring|].
  rewrite scaled, (IH c _ g scaled); ring.
Qed.

Definition sigmoid (a : R) : R := / (1 + exp (- a)).
Definition relu (a : R) : R := Rmax 0 a.
Definition heaviside (a : R) : R := if Rlt_dec 0 a then 1 else 0.
Definition softplus (a : R) : R := ln (1 + exp a).
Definition rsqrt (a : R) : R := / sqrt a.

Lemma sigmoid_reflection : forall a, sigmoid (- a) = 1 - sigmoid a.
Proof.
  intro a; unfold sigmoid; rewrite Ropp_involutive, exp_Ropp.
  pose proof (exp_pos a) as positive.
  assert (exp a <> 0) by (apply Rgt_not_eq; exact positive).
  assert (1 + exp a <> 0) by (apply Rgt_not_eq, Rplus_lt_0_compat; [exact Rlt_0_1 | exact positive]).
  field; repeat split; first [assumption | rewrite Rplus_comm; assumption].
Qed.

Lemma tanh_odd : forall a, tanh (- a) = - tanh a.
Proof.
  intro a; unfold tanh, sinh, cosh; rewrite Ropp_involutive.
  assert (exp a + exp (- a) <> 0) by (apply Rgt_not_eq, Rplus_lt_0_compat; apply exp_pos).
  field; repeat split; first [assumption | rewrite Rplus_comm; assumption].
Qed.

(* Both cases of every mask. *)
Ltac cases := repeat match goal with |- context [if ?m then _ else _] => destruct m end.

(* f b becomes f a wherever b = a. *)
Ltac align f :=
  repeat match goal with |- context [f ?a] =>
    match goal with |- context [f ?b] =>
      tryif constr_eq a b then fail
      else (let same := fresh in
            assert (same : f b = f a) by (f_equal; ring);
            rewrite same; clear same)
    end
  end.

(* f b becomes what the lemma says of f (- a) wherever b = - a. *)
Ltac reflect f lemma :=
  repeat match goal with |- context [f ?a] =>
    match goal with |- context [f ?b] =>
      tryif constr_eq a b then fail
      else (let same := fresh in
            pose proof (lemma a) as same;
            replace (f (- a)) with (f b) in same by (f_equal; ring);
            rewrite same; clear same)
    end
  end.

Ltac close :=
  lazymatch goal with
  | |- ?a = ?a => reflexivity
  | _ => first [ring | field]
  end.

Ltac calculate :=
  lazymatch goal with
  | |- ?a = ?a => reflexivity
  | _ => cases; align sigmoid; align tanh; align relu; align heaviside; align exp; align softplus;
         align rsqrt; reflect sigmoid sigmoid_reflection; reflect tanh tanh_odd; close
  end.
